#include "tests/simulation/model_table.hpp"

#include <cstring>
#include <utility>

namespace warp::testing {

namespace {

std::uint64_t hash_of(std::string_view text, std::uint64_t a, std::uint64_t b) {
  std::uint64_t h = 0xcbf2'9ce4'8422'2325u ^ a;
  for (const unsigned char c : text) h = (h ^ c) * 0x0000'0100'0000'01b3u;
  h = (h ^ b) * 0x9e37'79b9'7f4a'7c15u;
  return h ^ (h >> 29);
}
std::uint64_t hash_of(const std::string& key, const model_table::cell& c) {
  return c.present ? hash_of(key + '=' + c.value, c.version, 1) : 0;
}
std::uint64_t hash_of(std::uint32_t client, const model_table::request& r) {
  return r.number == 0 ? 0 : hash_of("client", client, r.number * 0x1'0001u + r.version);
}

} // namespace

std::string model_effect::encode() const {
  std::string body(18, '\0');
  std::memcpy(body.data(), &client, 4);
  std::memcpy(body.data() + 4, &number, 4);
  std::memcpy(body.data() + 8, &sum, 8);
  body[16] = present ? 1 : 0;
  body[17] = static_cast<char>(key.size());
  return body + key + value;
}

model_effect model_effect::decode(std::string_view body) {
  model_effect e;
  std::memcpy(&e.client, body.data(), 4);
  std::memcpy(&e.number, body.data() + 4, 4);
  std::memcpy(&e.sum, body.data() + 8, 8);
  e.present = body[16] != 0;
  const auto key_size = static_cast<std::size_t>(body[17]);
  e.key = body.substr(18, key_size);
  e.value = body.substr(18 + key_size);
  return e;
}

model_table::cell model_table::look_up(const std::string& key) const {
  for (auto at = pending_.rbegin(); at != pending_.rend(); ++at)
    if (at->second.key == key)
      return {at->second.present, at->second.value, at->second.present ? at->first : 0, at->first};
  const auto at = cells_.find(key);
  return at == cells_.end() ? cell{} : at->second;
}

model_table::request model_table::last_of(std::uint32_t client) const {
  for (auto at = pending_.rbegin(); at != pending_.rend(); ++at)
    if (at->second.client == client)
      return {at->second.number, at->first, at->second.sum, at->first};
  const auto at = requests_.find(client);
  return at == requests_.end() ? request{} : at->second;
}

void model_table::pend(lsn_t lsn, model_effect effect) {
  pending_.emplace(lsn, std::move(effect));
}

void model_table::commit(lsn_t lsn, const model_effect& effect) {
  auto& c = cells_[effect.key];
  hash_ ^= hash_of(effect.key, c);
  c = {effect.present, effect.value, effect.present ? lsn : 0, 0};
  hash_ ^= hash_of(effect.key, c);
  auto& r = requests_[effect.client];
  hash_ ^= hash_of(effect.client, r);
  r = {effect.number, lsn, effect.sum, 0};
  hash_ ^= hash_of(effect.client, r);
  pending_.erase(lsn);
}

} // namespace warp::testing
