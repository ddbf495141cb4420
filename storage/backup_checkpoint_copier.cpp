#include "storage/backup_checkpoint_copier.hpp"

#include "storage/backup_object.hpp"
#include "storage/checkpoint_reader.hpp"

#include <fmt/format.h>

namespace warp::storage {

namespace {

op_status with_advice(const checkpoint_info& info, const op_status& why) {
  if (why.code() != op_code::corruption) return why;
  return {op_code::corruption,
          fmt::format("{}; the log still makes up for it: write another checkpoint of shard {} "
                      "after a change (warp checkpoint {}), then try again",
                      why.message(), info.shard.value, info.shard.value)};
}

} // namespace

op_result<backup_object> backup_checkpoint_copier::copy(const checkpoint_info& info) {
  const auto name = fmt::format("{:016x}-checkpoint-{}", subject_.generation,
                                checkpoint_file_name({info.shard, info.sequence}));
  const backup_header header{.kind = backup_kind::checkpoint,
                             .universe = subject_.universe,
                             .generation = subject_.generation,
                             .number = info.shard.value,
                             .shard_count = subject_.shard_count,
                             .sequence = info.sequence};
  if (inventory_.previous)
    if (const auto& known = inventory_.previous->shards[info.shard.value].checkpoint;
        known && known->object.name == name && inventory_.has(known->object)) {
      pace_.pass_over(info.bytes);
      return known->object;
    }
  if (inventory_.objects.contains(name)) { // of a backup that did not come to its end, or older
    auto there = backup_object_reader::open(store_, name);
    if (there && (*there)->header() == header && (*there)->object().raw_bytes == info.bytes &&
        (*there)->verify().ok()) {
      pace_.pass_over(info.bytes);
      new_bytes_ += (*there)->object().bytes;
      return (*there)->object();
    }
  }
  auto object = write(info, name, header);
  if (object) new_bytes_ += object->bytes;
  return object;
}

op_result<backup_object> backup_checkpoint_copier::write(const checkpoint_info& info,
                                                         const std::string& name,
                                                         const backup_header& header) {
  const auto path = folder_.checkpoint_path(info.shard, info.sequence);
  // Damage is noticed here and not on the day of the restore.
  auto reader = checkpoint_reader::open(files_, path);
  if (!reader) return with_advice(info, reader.status());
  auto in = files_.open(path, open_mode::read);
  if (!in) return in.status();
  if (auto s = reader->verify(); !s.ok()) return with_advice(info, s);
  auto out = backup_object_writer::create(store_, name, header);
  if (!out) return out.status();
  std::string buffer(backup_chunk_bytes, '\0');
  for (std::uint64_t at = 0; at < info.bytes;) {
    auto count = (*in)->read_at(at, buffer);
    if (!count) return count.status();
    if (*count == 0)
      return op_status{op_code::corruption,
                       fmt::format("{}: ends at {} of {}", path, at, info.bytes)};
    if (auto s = (*out)->append({buffer.data(), *count}); !s.ok()) return s;
    at += *count;
    if (auto s = pace_.copied(*count); !s.ok()) return s;
  }
  return (*out)->finish();
}

} // namespace warp::storage
