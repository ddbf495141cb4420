#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warp::storage {

class checkpoint_reader;

/// A place in a replicated shard's log: the last record up to it, its epoch, and the replicas' hash
/// over everything up to there, opaque here.
struct applied_place {
  lsn_t lsn = 0;
  epoch_t epoch = 0;
  std::uint64_t hash = 0;
  friend bool operator==(const applied_place&, const applied_place&) = default;
};

/// The checkpoint's section `checkpoint_section_place`: lsn, epoch, hash, 64 bits each.
[[nodiscard]] std::string encode(const applied_place& place);
/// The inverse; empty for bytes of another length.
[[nodiscard]] std::optional<applied_place> decode_place(std::string_view bytes) noexcept;

/// Of a checkpoint; one that knows none, of a shard that was not replicated then, ends at its end
/// LSN with hash 0.
[[nodiscard]] op_status read_place(checkpoint_reader& checkpoint, applied_place& place);

} // namespace warp::storage
