#pragma once

#include "messages/operations.hpp"
#include "messages/physics.hpp"
#include "messages/status.hpp"
#include "storage/engine.hpp"

#include <cstddef>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Reads a key and finds out which of its partners exist, in one pass over the engine, each on its
/// own, at level memory. `found`: the partners with their strengths. Their values come where
/// `values` says so, as long as all values together stay below bytes_max.
/// It does not count as an access of anything for whoever observes. Codes: those of a get but
/// not_found, which is an answer.
[[nodiscard]] op_result<quantum_answer> quantum_read(engine& from, std::string_view key,
                                                     std::vector<quantum_partner> found,
                                                     bool values, std::size_t bytes_max);

} // namespace warp::storage
