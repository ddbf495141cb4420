#pragma once

#include "messages/status.hpp"
#include "tests/support/linearizability.hpp"

#include <istream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace warp::testing {

/// Calls by key.
using key_histories = std::map<std::string, std::vector<register_event>, std::less<>>;

/// A call as one line of a history file, without its line end: a JSON object of client, key, call
/// ("get", "put", "erase", "replace", "increment"), began and ended (ns of the steady clock, which
/// all processes of a machine share), outcome ("ok", "absent", "differs", "type", "refused",
/// "unknown"), and what belongs to it: value, old, delta, number. Versions are not kept.
/// `event.call` is not compare_and_set.
[[nodiscard]] std::string history_line(std::string_view key, const register_event& event);

/// Adds the calls of a file to `into`; several files make one history. invalid_argument names the
/// first line that is not a call.
[[nodiscard]] op_status read_history(std::istream& from, std::string_view name,
                                     key_histories& into);

/// Empty: every key is linearizable; else which one is not, or was not decided within `steps_max`
/// steps, and why.
[[nodiscard]] std::string complaint_about(const key_histories& histories,
                                          std::uint64_t steps_max = 20'000'000);

} // namespace warp::testing
