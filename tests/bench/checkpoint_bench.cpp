// Checkpoint files by themselves, on one thread and a warm page cache: 1 M records of 16 B + 100 B,
// plain and compressed. Recovery's bar, 2 M keys/s, includes the table; so reading alone must be
// far above.

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "tests/bench/hardware.hpp"
#include "tests/bench/report.hpp"
#include "tests/support/temp_folder.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::storage;

namespace {

void require(const op_status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  std::exit(1);
}

double seconds_of(const auto& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

struct pair {
  std::string key, value;
};

std::vector<pair> records(std::size_t count, bool text) {
  std::mt19937_64 random{1};
  std::vector<pair> all(count);
  for (auto& [key, value] : all) {
    key = fmt::format("key:{:012}", random() % 1'000'000'000'000);
    if (text) {
      value = fmt::format(
          R"({{"id":{},"name":"user {}","city":"Berlin","score":{},"active":true,"seen":{}}})",
          random() % 100'000, random() % 100'000, random() % 1'000, random());
      value.resize(100, ' ');
    } else {
      value.resize(100);
      for (auto& c : value) c = static_cast<char>(random());
    }
  }
  return all;
}

} // namespace

int main(int argc, char** argv) {
  bench::report out(argc, argv);
  testing::temp_folder folder;
  auto& files = posix_file_system();
  const auto path = folder / "checkpoint";
  const std::size_t count = out.quick() ? 100'000 : 1'000'000;
  out.begin("checkpoint files by themselves, one thread, warm page cache", out.quick() ? 5 : 40);
  out.setting("records", fmt::format("{} of 16 B + 100 B", count));
  out.setting("data folder", bench::file_system_name(folder.path()));
  const auto million_a_second = [&](double seconds) {
    return static_cast<double>(count) / seconds / 1e6;
  };
  for (const bool text : {false, true}) {
    const auto all = records(count, text);
    for (const bool compress : {false, true}) {
      out.section(fmt::format("values of {}, {}", text ? "JSON" : "random bytes",
                              compress ? "zstd level 1" : "plain"));
      std::vector<double> write, read, bytes;
      for (int run = 0; run < (out.quick() ? 1 : 5); ++run) {
        checkpoint_totals totals;
        write.push_back(million_a_second(seconds_of([&] {
          auto writer = checkpoint_writer::create(files, path, {}, {.compress = compress});
          require(writer.status());
          record_meta meta;
          for (const auto& [key, value] : all) {
            ++meta.version;
            (*writer)->add(key, value, meta);
            if ((*writer)->has_full_blocks()) require((*writer)->write_full_blocks());
          }
          auto written = (*writer)->finish({});
          require(written.status());
          totals = *written;
        })));
        bytes.push_back(static_cast<double>(totals.bytes) / static_cast<double>(count));
        read.push_back(million_a_second(seconds_of([&] {
          auto reader = checkpoint_reader::open(files, path);
          require(reader.status());
          std::uint64_t sum = 0;
          require(reader->read_records([&](const checkpoint_record& r) {
            sum += r.key.size() + r.value.size() + r.meta.version;
          }));
          if (sum != count * 116 + count * (count + 1) / 2) std::abort();
        })));
      }
      out.add({"write, syncs included", "M keys/s", write});
      out.add({"read", "M keys/s", read, compress ? 0.0 : 10.0});
      out.add({"size in the file", "B/key", bytes});
    }
  }
}
