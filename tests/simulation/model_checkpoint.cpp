#include "tests/simulation/model_checkpoint.hpp"

#include <utility>

namespace warp::testing {

using namespace cluster::replication;

std::uint32_t model_checksum(std::string_view bytes) {
  std::uint32_t h = 0x811c'9dc5u;
  for (const unsigned char c : bytes) h = (h ^ c) * 0x0100'0193u;
  return h;
}

std::shared_ptr<const model_checkpoint> make_checkpoint(log_position end,
                                                        const model_table& table) {
  auto c = std::make_shared<model_checkpoint>();
  c->end = end;
  c->bytes = table.encode();
  c->table = model_table::decode(c->bytes);
  auto& m = c->manifest;
  m.start = m.end = end;
  m.size_bytes = c->bytes.size();
  m.chunk_bytes = model_chunk_bytes;
  for (std::size_t i = 0; i < chunk_count(m); ++i)
    m.checksums.push_back(
        model_checksum(std::string_view{c->bytes}.substr(i * m.chunk_bytes, m.chunk_bytes)));
  m.id = end.hash ^ (end.lsn * 0x9e37'79b9'7f4a'7c15u) ^ table.hash();
  return c;
}

std::shared_ptr<const model_checkpoint> make_checkpoint(const checkpoint_manifest& manifest,
                                                        std::string bytes) {
  auto c = std::make_shared<model_checkpoint>();
  c->end = manifest.end;
  c->table = model_table::decode(bytes);
  c->bytes = std::move(bytes);
  c->manifest = manifest;
  return c;
}

} // namespace warp::testing
