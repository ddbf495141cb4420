#include "cluster/ndjson.hpp"
#include "cluster/programs/tool.hpp"
#include "storage/verify.hpp"

#include <chrono>
#include <fmt/format.h>

namespace warp::programs {

namespace {

/// The server answers when it is done, or after so long that it is asked again.
constexpr std::chrono::seconds wait_max{30};

void show(tool& t, std::uint64_t files, std::uint64_t bytes,
          const std::vector<std::string>& findings, std::chrono::milliseconds took) {
  output out;
  if (t.json) {
    std::string list;
    for (const auto& finding : findings) {
      list += list.empty() ? "" : ", ";
      cluster::append_json_string(list, cluster::is_utf8(finding) ? finding : printable(finding));
    }
    out.line(fmt::format("{{\"files\": {}, \"bytes\": {}, \"findings\": [{}], \"elapsed_ms\": {}}}",
                         files, bytes, list, took.count()));
  } else {
    for (const auto& finding : findings) out.line(finding);
    out.line(fmt::format("{} files, {}, checked in {}: {}", with_commas(files),
                         readable_bytes(bytes), readable_duration(took),
                         findings.empty() ? "every checksum is right"
                                          : fmt::format("{} damaged", findings.size())));
  }
  if (!t.check(out.finish(), "verify")) return;
  if (!findings.empty()) t.exit = tool_exit::failure;
}

void run(tool& t, const std::string& folder) {
  const auto began = std::chrono::steady_clock::now();
  const auto took = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 began);
  };
  if (!folder.empty()) {
    const auto found = storage::verify_folder(storage::posix_file_system(), folder);
    if (!found) {
      t.fail(found.status(), "verify");
      t.exit = tool_exit::failure;
      return;
    }
    return show(t, 1 + found->checkpoints + found->segments, found->bytes, found->findings, took());
  }
  const auto c = t.connect();
  if (!c) return;
  auto found = c->admin().verify(true);
  if (!t.check(found.status(), "verify")) return;
  for (const auto number = found->begun; found->finished < number;) {
    found = c->admin().wait_verified(number, wait_max);
    if (!t.check(found.status(), "verify")) return;
  }
  if (!found->failure.empty()) return t.fail({op_code::io_error, found->failure}, "verify");
  show(t, found->files, found->bytes, found->findings, took());
}

} // namespace

void add_verify_command(CLI::App& app, tool& t) {
  const auto folder = std::make_shared<std::string>();
  auto* verify = app.add_subcommand(
      "verify",
      "Check every checksum of a server's data at rest, or of the files of a data folder");
  verify->group("Operation");
  verify->add_option("DATA_FOLDER", *folder,
                     "Read here, at full speed, without a server or beside one; without it the "
                     "server checks its own, at its rate for scrubbing");
  verify->callback([&t, folder] { run(t, *folder); });
}

} // namespace warp::programs
