#include "cluster/programs/tool.hpp"
#include "storage/checkpoint_reader.hpp"

#include <fmt/format.h>

namespace warp::programs {

namespace {

struct dump_arguments {
  std::string file;
  std::uint64_t limit = 0;
  bool values = false;
};

void show_front(tool& t, output& out, const storage::checkpoint_reader& reader) {
  const auto& h = reader.header();
  const auto& e = reader.end();
  std::string sections;
  for (const auto& name : reader.section_names()) {
    if (!sections.empty()) sections += ", ";
    sections += t.json ? fmt::format("\"{}\"", printable(name)) : printable(name);
  }
  if (t.json)
    out.line(fmt::format(
        "{{\"universe\": \"{}\", \"generation\": \"{:016x}\", \"shard\": {}, \"shards\": {}, "
        "\"start_lsn\": {}, \"start_epoch\": {}, \"end_lsn\": {}, \"end_epoch\": {}, "
        "\"reserved_lsn\": {}, \"created_at_ms\": {}, \"records\": {}, \"bytes\": {}, "
        "\"sections\": [{}]}}",
        storage::to_string(h.universe), h.generation, h.shard.value, h.shard_count, h.start_lsn,
        h.start_epoch, e.end_lsn, e.end_epoch, e.reserved_lsn, e.created_at_ms,
        reader.record_count(), reader.file_bytes(), sections));
  else
    out.line(fmt::format("shard {} of {} of universe {}, generation {:016x}\n"
                         "log from record {} to {}, epoch {} to {}, numbers reserved up to {}\n"
                         "{} records, {}, sections: {}",
                         h.shard.value, h.shard_count, storage::to_string(h.universe), h.generation,
                         h.start_lsn, e.end_lsn, h.start_epoch, e.end_epoch, e.reserved_lsn,
                         with_commas(reader.record_count()), readable_bytes(reader.file_bytes()),
                         sections.empty() ? "none" : sections));
}

void show_record(tool& t, output& out, const storage::checkpoint_record& r, bool values) {
  if (t.json) {
    auto line = fmt::format("{{{}, \"version\": {}, \"value_bytes\": {}", json_bytes("key", r.key),
                            r.meta.version, r.value.size());
    if (values) line += ", " + json_bytes("value", r.value);
    if (r.meta.expires_at_ms != 0)
      line += fmt::format(", \"expires_at_ms\": {}", r.meta.expires_at_ms);
    return out.line(line + "}");
  }
  auto line = fmt::format("version {:<10} {}", r.meta.version, printable(r.key));
  line += values ? "  " + printable(r.value) : fmt::format("  ({} B)", r.value.size());
  if (r.meta.expires_at_ms != 0) line += fmt::format("  expires {} ms", r.meta.expires_at_ms);
  out.line(line);
}

void dump(tool& t, const dump_arguments& a) {
  auto reader = storage::checkpoint_reader::open(storage::posix_file_system(), a.file);
  output out;
  auto status = reader.ok() ? op_status{} : reader.status();
  if (status.ok()) {
    show_front(t, out, *reader);
    std::uint64_t shown = 0;
    status = reader->read_records([&](const storage::checkpoint_record& r) {
      if (a.limit == 0 || shown++ < a.limit) show_record(t, out, r, a.values);
    });
  }
  const auto written = out.finish();
  if (!status.ok()) {
    t.fail(status, "checkpoint dump");
    t.exit = tool_exit::failure;
    return;
  }
  t.check(written, "checkpoint dump");
}

} // namespace

CLI::App* add_checkpoint_dump(CLI::App& checkpoint, tool& t) {
  const auto a = std::make_shared<dump_arguments>();
  auto* command = checkpoint.add_subcommand(
      "dump", "Show what a checkpoint file says about itself, and its records; checks all of it");
  command->add_option("FILE", a->file, "DATA_FOLDER/checkpoint/SHARD-SEQUENCE")->required();
  command->add_option("-n,--limit", a->limit, "At most this many records; 0: all");
  command->add_flag("--values", a->values, "Values too");
  command->callback([&t, a] { dump(t, *a); });
  return command;
}

} // namespace warp::programs
