#include "storage/request_window.hpp"

#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"
#include "storage/position_index.hpp"
#include "storage/slab_list.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace warp::storage {

namespace {

constexpr auto none = position_index::none;

// Bytes of encode(): head, then clients, then results, then crc32c of all before it.
constexpr std::uint32_t layout_version = 1;
constexpr std::size_t head_bytes = 4 + 4 + 4 + 8 + 8;
constexpr std::size_t client_bytes = 8 + 8;
constexpr std::size_t result_bytes = 4 + 5 * 8 + 2 + 1;
constexpr std::size_t crc_bytes = 4;

std::uint64_t mix(std::uint64_t x) noexcept { // the finaliser of SplitMix64
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

struct kept_client {
  std::uint64_t id = 0;
  std::uint64_t floor = 0;
  std::uint32_t first = none, last = none; ///< its results, in the order they were remembered
};

struct kept_result {
  std::uint64_t number = 0;
  std::uint64_t time_us = 0;
  request_result result;
  std::uint32_t client = none; ///< position in clients
  std::uint32_t next = none;   ///< the client's next one
};

} // namespace

struct request_window::state {
  slab_list<kept_client> clients; ///< the one that wrote longest ago first
  slab_list<kept_result> results; ///< the oldest first
  position_index client_index, result_index;
  lsn_t last_lsn = 0;
  std::uint64_t last_time_us = 0;

  [[nodiscard]] static std::uint64_t hash_of_client(std::uint64_t id) noexcept { return mix(id); }
  [[nodiscard]] static std::uint64_t hash_of_result(std::uint32_t client,
                                                    std::uint64_t number) noexcept {
    return mix(number + 0x9e3779b97f4a7c15u * (std::uint64_t{client} + 1));
  }
  auto client_hasher() noexcept {
    return [this](std::uint32_t at) { return hash_of_client(clients[at].id); };
  }
  auto result_hasher() noexcept {
    return
        [this](std::uint32_t at) { return hash_of_result(results[at].client, results[at].number); };
  }

  [[nodiscard]] std::uint32_t find_client(std::uint64_t id) const noexcept {
    return client_index.find(hash_of_client(id),
                             [&](std::uint32_t at) { return clients[at].id == id; });
  }
  [[nodiscard]] std::uint32_t find_result(std::uint32_t client,
                                          std::uint64_t number) const noexcept {
    return result_index.find(hash_of_result(client, number), [&](std::uint32_t at) {
      return results[at].client == client && results[at].number == number;
    });
  }

  /// So that what follows can't throw in the middle.
  void reserve(std::size_t more_results, std::size_t more_clients) {
    clients.reserve(more_clients);
    results.reserve(more_results);
    client_index.reserve(clients.size() + more_clients, client_hasher());
    result_index.reserve(results.size() + more_results, result_hasher());
  }

  std::uint32_t add_client(std::uint64_t id, std::uint64_t floor) noexcept {
    const auto at = clients.push_back({id, floor});
    client_index.insert(hash_of_client(id), at);
    return at;
  }

  void add_result(std::uint32_t client, std::uint64_t number, const request_result& result,
                  std::uint64_t time_us) noexcept {
    const auto at = results.push_back({number, time_us, result, client});
    result_index.insert(hash_of_result(client, number), at);
    auto& owner = clients[client];
    (owner.last == none ? owner.first : results[owner.last].next) = at;
    owner.last = at;
  }

  /// Drops a client's oldest result.
  void drop_first_of(std::uint32_t client) noexcept {
    auto& owner = clients[client];
    const auto at = owner.first;
    result_index.erase(hash_of_result(client, results[at].number), at, result_hasher());
    owner.first = results[at].next;
    if (owner.first == none) owner.last = none;
    results.erase(at);
  }

  /// Drops the oldest result of all, which is also its client's oldest.
  void drop_oldest() noexcept {
    const auto& oldest = results[results.front()];
    auto& floor = clients[oldest.client].floor;
    if (oldest.number >= floor) floor = oldest.number + (oldest.number != ~std::uint64_t{0});
    drop_first_of(oldest.client);
  }

  void drop_client(std::uint32_t client) noexcept {
    while (clients[client].first != none) drop_first_of(client);
    client_index.erase(hash_of_client(clients[client].id), client, client_hasher());
    clients.erase(client);
  }
};

request_window::request_window() noexcept = default;
request_window::request_window(request_window&&) noexcept = default;
request_window& request_window::operator=(request_window&&) noexcept = default;
request_window::~request_window() = default;

request_answer request_window::lookup(const request_id& id) const noexcept {
  if (!state_ || !id) return {};
  const auto client = state_->find_client(id.client);
  if (client == none) return {};
  if (id.number < state_->clients[client].floor) return {request_state::forgotten, {}};
  const auto at = state_->find_result(client, id.number);
  if (at == none) return {};
  return {request_state::seen, state_->results[at].result};
}

void request_window::remember(const request_id& id, const request_result& result,
                              std::uint64_t record_time_us) {
  if (!id) return;
  // Several have one LSN where a transaction is one record.
  if (state_ && result.lsn <= state_->last_lsn &&
      (result.lsn < state_->last_lsn || lookup(id).state != request_state::fresh))
    return;
  reserve();
  auto& s = *state_;
  s.last_lsn = result.lsn;
  s.last_time_us = std::max(s.last_time_us, record_time_us);
  while (s.results.size() && s.results[s.results.front()].time_us + age_us_max < s.last_time_us)
    s.drop_oldest();

  auto client = s.find_client(id.client);
  if (client == none) {
    if (s.clients.size() == clients_max) s.drop_client(s.clients.front());
    client = s.add_client(id.client, 0);
  } else {
    s.clients.move_to_back(client);
  }
  auto& owner = s.clients[client];
  owner.floor = std::max(owner.floor, std::min(id.oldest_unanswered, id.number));
  while (owner.first != none && s.results[owner.first].number < owner.floor)
    s.drop_first_of(client);

  if (id.number < owner.floor || s.find_result(client, id.number) != none) return;
  if (s.results.size() == results_max) s.drop_oldest();
  s.add_result(client, id.number, result, s.last_time_us);
}

void request_window::reserve(std::size_t results, std::size_t clients) {
  if (!state_) state_ = std::make_unique<state>();
  state_->reserve(results, clients);
}

std::size_t request_window::size() const noexcept {
  return state_ ? state_->results.size() : 0;
}

std::size_t request_window::client_count() const noexcept {
  return state_ ? state_->clients.size() : 0;
}

void request_window::clear() noexcept {
  state_.reset();
}

std::string request_window::encode() const {
  if (!state_) return {};
  const auto& s = *state_;
  std::string bytes;
  bytes.resize(head_bytes + s.clients.size() * client_bytes + s.results.size() * result_bytes +
               crc_bytes);
  char* to = bytes.data();
  to = store_le<std::uint32_t>(to, layout_version);
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(s.clients.size()));
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(s.results.size()));
  to = store_le<std::uint64_t>(to, s.last_lsn);
  to = store_le<std::uint64_t>(to, s.last_time_us);
  // A result names its client by place in this list.
  std::vector<std::uint32_t> place_of;
  std::uint32_t place = 0;
  for (auto at = s.clients.front(); at != none; at = s.clients.after(at)) {
    if (place_of.size() <= at) place_of.resize(at + 1);
    place_of[at] = place++;
    to = store_le<std::uint64_t>(to, s.clients[at].id);
    to = store_le<std::uint64_t>(to, s.clients[at].floor);
  }
  for (auto at = s.results.front(); at != none; at = s.results.after(at)) {
    const auto& kept = s.results[at];
    to = store_le<std::uint32_t>(to, place_of[kept.client]);
    to = store_le<std::uint64_t>(to, kept.number);
    to = store_le<std::uint64_t>(to, kept.time_us);
    to = store_le<std::uint64_t>(to, kept.result.lsn);
    to = store_le<std::uint64_t>(to, kept.result.version);
    to = store_le<std::int64_t>(to, kept.result.number);
    to = store_le<std::uint16_t>(to, static_cast<std::uint16_t>(kept.result.code));
    to = store_le<std::uint8_t>(to, kept.result.existed ? 1 : 0);
  }
  const auto covered = std::string_view{bytes}.substr(0, bytes.size() - crc_bytes);
  store_le<std::uint32_t>(to, crc32c(covered));
  return bytes;
}

op_result<request_window> request_window::decode(std::string_view bytes) {
  request_window window;
  if (bytes.empty()) return window;
  const auto damaged = [&](std::size_t offset, std::string_view cause) {
    return op_status{op_code::corruption, fmt::format("request window of {} bytes: offset {}: {}",
                                                      bytes.size(), offset, cause)};
  };
  if (bytes.size() < head_bytes + crc_bytes) return damaged(0, "shorter than its head");
  const auto crc_at = bytes.size() - crc_bytes;
  if (load_le<std::uint32_t>(bytes.data() + crc_at) != crc32c(bytes.substr(0, crc_at)))
    return damaged(crc_at, "checksum does not match");
  const char* from = bytes.data();
  if (const auto version = load_le<std::uint32_t>(from); version != layout_version)
    return damaged(0, fmt::format("layout {}, this program knows {}", version, layout_version));
  const std::size_t clients = load_le<std::uint32_t>(from + 4);
  const std::size_t results = load_le<std::uint32_t>(from + 8);
  if (clients > clients_max || results > results_max ||
      bytes.size() != head_bytes + clients * client_bytes + results * result_bytes + crc_bytes)
    return damaged(4, fmt::format("{} clients and {} results do not fit", clients, results));

  window.state_ = std::make_unique<state>();
  auto& s = *window.state_;
  s.last_lsn = load_le<std::uint64_t>(from + 12);
  s.last_time_us = load_le<std::uint64_t>(from + 20);
  from += head_bytes;
  for (std::size_t i = 0; i < clients; ++i, from += client_bytes) {
    const auto id = load_le<std::uint64_t>(from);
    if (id == 0 || s.find_client(id) != none)
      return damaged(static_cast<std::size_t>(from - bytes.data()), "client 0 or twice");
    s.reserve(0, 1);
    s.add_client(id, load_le<std::uint64_t>(from + 8)); // positions are 0, 1, 2, ...
  }
  lsn_t lsn = 0;
  std::uint64_t time_us = 0;
  for (std::size_t i = 0; i < results; ++i, from += result_bytes) {
    const auto client = load_le<std::uint32_t>(from);
    const auto number = load_le<std::uint64_t>(from + 4);
    const auto at_us = load_le<std::uint64_t>(from + 12);
    request_result result;
    result.lsn = load_le<std::uint64_t>(from + 20);
    result.version = load_le<std::uint64_t>(from + 28);
    result.number = load_le<std::int64_t>(from + 36);
    result.code = static_cast<op_code>(load_le<std::uint16_t>(from + 44));
    result.existed = from[46] != 0;
    if (client >= clients || at_us < time_us || at_us > s.last_time_us || result.lsn <= lsn ||
        result.lsn > s.last_lsn || s.find_result(client, number) != none)
      return damaged(static_cast<std::size_t>(from - bytes.data()),
                     "a result out of order, or twice");
    lsn = result.lsn;
    time_us = at_us;
    s.reserve(1, 0);
    s.add_result(client, number, result, at_us);
  }
  return window;
}

} // namespace warp::storage
