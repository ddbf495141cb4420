#include "cluster/resp_clients.hpp"

#include "cluster/resp_commands.hpp"

#include <fmt/format.h>

namespace warp::cluster {

void resp_clients::add(std::shared_ptr<client_card> card) {
  std::lock_guard hold{mutex_};
  const auto id = card->id;
  cards_.emplace(id, std::move(card));
}

void resp_clients::remove(std::uint64_t id) {
  std::lock_guard hold{mutex_};
  cards_.erase(id);
}

std::vector<std::shared_ptr<client_card>> resp_clients::all() const {
  std::lock_guard hold{mutex_};
  std::vector<std::shared_ptr<client_card>> out;
  out.reserve(cards_.size());
  for (const auto& [id, card] : cards_) out.push_back(card);
  return out;
}

std::string describe_client(const resp_clients& clients, const client_card& card,
                            std::int64_t now_ms) {
  constexpr auto relaxed = std::memory_order_relaxed;
  const auto name = clients.with_texts([&] { return card.name; });
  const auto library = clients.with_texts([&] { return card.library; });
  const auto library_version = clients.with_texts([&] { return card.library_version; });
  std::string flags;
  const auto channels = card.channels.load(relaxed), patterns = card.patterns.load(relaxed),
             shard_channels = card.shard_channels.load(relaxed);
  if (channels + patterns + shard_channels != 0) flags += 'P';
  if (card.queued.load(relaxed) >= 0) flags += 'x';
  if (card.blocked.load(relaxed)) flags += 'b';
  if (card.no_evict.load(relaxed)) flags += 'e';
  if (flags.empty()) flags += 'N';
  const auto* last = card.last.load(relaxed);
  const auto input = card.input_bytes.load(relaxed), output = card.output_bytes.load(relaxed);
  return fmt::format(
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db=0 sub={} psub={} ssub={} "
      "multi={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={} oll=0 omem={} "
      "tot-mem={} events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={}",
      card.id, card.address, card.local_address, card.fd, name,
      (now_ms - card.connected_at_ms) / 1'000, (now_ms - card.active_at_ms.load(relaxed)) / 1'000,
      flags, channels, patterns, shard_channels, card.queued.load(relaxed), input, output, output,
      1'024 + input + output, last == nullptr ? std::string_view{"NULL"} : last->name,
      card.protocol.load(relaxed), library, library_version);
}

} // namespace warp::cluster
