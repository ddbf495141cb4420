#include "storage/applied_place.hpp"

#include "storage/byte_order.hpp"
#include "storage/checkpoint_reader.hpp"

#include <fmt/format.h>

namespace warp::storage {

std::string encode(const applied_place& place) {
  std::string bytes(24, '\0');
  char* to = store_le<std::uint64_t>(bytes.data(), place.lsn);
  to = store_le<std::uint64_t>(to, place.epoch);
  store_le<std::uint64_t>(to, place.hash);
  return bytes;
}

std::optional<applied_place> decode_place(std::string_view bytes) noexcept {
  if (bytes.size() != 24) return {};
  const char* at = bytes.data();
  return applied_place{load_le<std::uint64_t>(at), load_le<std::uint64_t>(at + 8),
                       load_le<std::uint64_t>(at + 16)};
}

op_status read_place(checkpoint_reader& checkpoint, applied_place& place) {
  const auto& end = checkpoint.end();
  place = {end.end_lsn, end.end_epoch, 0};
  const auto section = checkpoint.section(checkpoint_section_place);
  if (section.code() == op_code::not_found) return {};
  if (!section) return section.status();
  const auto found = decode_place(*section);
  if (!found || found->lsn != end.end_lsn)
    return {op_code::corruption,
            fmt::format("its place in the log is not where it ends, at LSN {}", end.end_lsn)};
  place = *found;
  return {};
}

} // namespace warp::storage
