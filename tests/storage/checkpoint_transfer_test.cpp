#include "storage/checkpoint_transfer.hpp"

#include "storage/crc32c.hpp"
#include "tests/storage/checkpoint_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

const std::string source = "here/checkpoint";
const std::string target = "there/checkpoint";

/// A checkpoint of three and a bit chunks, and a node that wants it.
struct transfer_fixture {
  faulty_file_system files;
  std::vector<saved_record> records;

  transfer_fixture() {
    REQUIRE(files.create_folder("here").ok());
    REQUIRE(files.create_folder("there").ok());
    for (int i = 0; i < 35; ++i)
      records.push_back(
          {"key" + std::to_string(i), std::string(100'000, static_cast<char>('a' + i % 26)), {}});
    write_checkpoint(files, source, records, true);
  }

  checkpoint_exporter exporter() {
    auto e = checkpoint_exporter::open(files, source);
    REQUIRE(e.ok());
    return std::move(*e);
  }
  checkpoint_importer importer(const checkpoint_offer& offer) {
    auto i = checkpoint_importer::open(files, target, offer);
    REQUIRE(i.ok());
    return std::move(*i);
  }
  void send(checkpoint_exporter& from, checkpoint_importer& to, int chunks_max = 100) {
    while (chunks_max-- > 0 && to.next_offset() < from.offer().bytes) {
      auto chunk = from.read(to.next_offset());
      REQUIRE(chunk.ok());
      REQUIRE(to.accept(*chunk).ok());
    }
  }
};

} // namespace

TEST_CASE_METHOD(transfer_fixture, "a checkpoint arrives as it was sent",
                 "[storage][checkpoint_transfer]") {
  auto from = exporter();
  auto to = importer(from.offer());
  send(from, to);
  REQUIRE(to.finish().ok());
  CHECK(files.memory().bytes(target) == files.memory().bytes(source));
  auto read = read_checkpoint(files, target);
  REQUIRE(read.ok());
  CHECK(*read == records);
}

TEST_CASE_METHOD(transfer_fixture, "a transfer goes on where it was interrupted",
                 "[storage][checkpoint_transfer]") {
  auto from = exporter();
  {
    auto to = importer(from.offer());
    send(from, to, 2);
  }
  auto to = importer(from.offer());
  CHECK(to.next_offset() == 2 * checkpoint_chunk_bytes);
  send(from, to, 1);
  send(from, to);
  {
    auto again = importer(from.offer());
    CHECK(again.next_offset() == from.offer().bytes);
  }
  REQUIRE(to.finish().ok());
  CHECK(read_checkpoint(files, target).ok());
}

TEST_CASE_METHOD(transfer_fixture, "a part of another checkpoint is not continued",
                 "[storage][checkpoint_transfer]") {
  auto from = exporter();
  {
    auto to = importer(from.offer());
    send(from, to, 2);
  }
  auto offer = from.offer();
  ++offer.header.start_lsn;
  CHECK(importer(offer).next_offset() == 0);
}

TEST_CASE_METHOD(transfer_fixture, "a damaged chunk is refused and can be sent again",
                 "[storage][checkpoint_transfer][damage]") {
  auto from = exporter();
  auto to = importer(from.offer());
  auto chunk = from.read(0);
  REQUIRE(chunk.ok());
  std::string damaged{chunk->bytes};
  damaged[1'000] ^= 1;
  CHECK(to.accept({0, chunk->crc, damaged}) == op_code::corruption);
  CHECK(to.accept({checkpoint_chunk_bytes, chunk->crc, chunk->bytes}) == op_code::invalid_argument);
  CHECK(to.accept({0, crc32c("short"), "short"}) == op_code::invalid_argument);
  CHECK(to.next_offset() == 0);
  send(from, to);
  CHECK(to.finish().ok());
}

TEST_CASE_METHOD(transfer_fixture, "a checkpoint that was damaged at its source is not published",
                 "[storage][checkpoint_transfer][damage]") {
  files.memory().flip_bit(source, 8 * 1'500'000);
  auto from = exporter();
  auto to = importer(from.offer());
  send(from, to);
  CHECK(to.finish() == op_code::corruption);
  auto names = files.list("there");
  REQUIRE(names.ok());
  CHECK(names->empty());
}

TEST_CASE_METHOD(transfer_fixture, "an unfinished transfer is not published",
                 "[storage][checkpoint_transfer]") {
  auto from = exporter();
  auto to = importer(from.offer());
  send(from, to, 2);
  CHECK(to.finish() == op_code::invalid_argument);
  send(from, to);
  CHECK(to.finish().ok());
}

TEST_CASE_METHOD(transfer_fixture,
                 "a checkpoint is sent to its end even when it is removed meanwhile",
                 "[storage][checkpoint_transfer]") {
  auto from = exporter();
  auto to = importer(from.offer());
  send(from, to, 1);
  REQUIRE(files.remove(source).ok());
  send(from, to);
  CHECK(to.finish().ok());
}

TEST_CASE_METHOD(transfer_fixture, "chunks begin at multiples of their size",
                 "[storage][checkpoint_transfer]") {
  auto from = exporter();
  CHECK(from.read(1).code() == op_code::invalid_argument);
  CHECK(from.read(100 * checkpoint_chunk_bytes).code() == op_code::invalid_argument);
}
