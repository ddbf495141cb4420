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
  return r.number == 0 ? 0
                       : hash_of("client", client,
                                 r.number * 0x1'0001u + r.version + r.met * 3 +
                                     static_cast<std::uint64_t>(r.code) * 7);
}

/// Fields one after the other, as they lie in memory: writer and reader are the same program.
class bytes_writer {
public:
  template <class Number>
  void number(Number n) {
    const auto at = bytes.size();
    bytes.resize(at + sizeof n);
    std::memcpy(bytes.data() + at, &n, sizeof n);
  }
  void text(std::string_view t) {
    number(static_cast<std::uint32_t>(t.size()));
    bytes += t;
  }
  std::string bytes;
};

class bytes_reader {
public:
  explicit bytes_reader(std::string_view bytes) : bytes_(bytes) {}
  template <class Number>
  void number(Number& n) {
    std::memcpy(&n, bytes_.data(), sizeof n);
    bytes_.remove_prefix(sizeof n);
  }
  void text(std::string& t) {
    std::uint32_t size = 0;
    number(size);
    t = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
  }

private:
  std::string_view bytes_;
};

} // namespace

std::string model_effect::encode() const {
  bytes_writer w;
  w.number(client), w.number(number), w.number(sum), w.number(present), w.number(code);
  w.number(met), w.text(key), w.text(value);
  return std::move(w.bytes);
}

model_effect model_effect::decode(std::string_view body) {
  model_effect e;
  bytes_reader r{body};
  r.number(e.client), r.number(e.number), r.number(e.sum), r.number(e.present), r.number(e.code);
  r.number(e.met), r.text(e.key), r.text(e.value);
  return e;
}

std::string model_table::encode() const {
  bytes_writer w;
  w.number(cells_.size());
  for (const auto& [key, c] : cells_)
    w.text(key), w.number(c.present), w.text(c.value), w.number(c.version);
  w.number(requests_.size());
  for (const auto& [client, q] : requests_)
    w.number(client), w.number(q.number), w.number(q.version), w.number(q.sum), w.number(q.code),
        w.number(q.met);
  return std::move(w.bytes);
}

model_table model_table::decode(std::string_view bytes) {
  model_table t;
  bytes_reader r{bytes};
  std::size_t count = 0;
  for (r.number(count); count != 0; --count) {
    std::string key;
    r.text(key);
    auto& c = t.cells_[key];
    r.number(c.present), r.text(c.value), r.number(c.version);
    t.hash_ ^= hash_of(key, c);
  }
  for (r.number(count); count != 0; --count) {
    std::uint32_t client = 0;
    r.number(client);
    auto& q = t.requests_[client];
    r.number(q.number), r.number(q.version), r.number(q.sum), r.number(q.code), r.number(q.met);
    t.hash_ ^= hash_of(client, q);
  }
  return t;
}

model_table::cell model_table::look_up(const std::string& key) const {
  for (auto at = pending_.rbegin(); at != pending_.rend(); ++at)
    if (at->second.key == key && at->second.code == op_code::ok)
      return {at->second.present, at->second.value, at->second.present ? at->first : 0, at->first};
  return committed(key);
}

model_table::cell model_table::committed(const std::string& key) const {
  const auto at = cells_.find(key);
  return at == cells_.end() ? cell{} : at->second;
}

model_table::request model_table::last_of(std::uint32_t client) const {
  for (auto at = pending_.rbegin(); at != pending_.rend(); ++at)
    if (at->second.client == client)
      return {at->second.number, at->first,       at->second.sum,
              at->first,         at->second.code, at->second.met};
  const auto at = requests_.find(client);
  return at == requests_.end() ? request{} : at->second;
}

void model_table::pend(lsn_t lsn, model_effect effect) {
  pending_.emplace(lsn, std::move(effect));
}

void model_table::commit(lsn_t lsn, const model_effect& effect) {
  if (effect.code == op_code::ok) {
    auto& c = cells_[effect.key];
    hash_ ^= hash_of(effect.key, c);
    c = {effect.present, effect.value, effect.present ? lsn : 0, 0};
    hash_ ^= hash_of(effect.key, c);
  }
  auto& r = requests_[effect.client];
  hash_ ^= hash_of(effect.client, r);
  r = {effect.number, lsn, effect.sum, 0, effect.code, effect.met};
  hash_ ^= hash_of(effect.client, r);
  pending_.erase(lsn);
}

} // namespace warp::testing
