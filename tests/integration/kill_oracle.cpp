#include "tests/integration/kill_oracle.hpp"

#include <algorithm>
#include <charconv>

namespace warp::testing {

namespace {

[[noreturn]] void fail(std::string what) {
  throw kill_failure{std::move(what)};
}

/// The words of a line.
class words {
public:
  explicit words(std::string_view line) : rest_(line) {}
  std::string_view next() {
    const auto end = std::min(rest_.find(' '), rest_.size());
    const auto word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(rest_.size(), end + 1));
    return word;
  }
  std::uint64_t number() {
    const auto word = next();
    std::uint64_t n = 0;
    std::from_chars(word.data(), word.data() + word.size(), n);
    return n;
  }

private:
  std::string_view rest_;
};

std::string excerpt(std::string_view value) {
  return "'" + std::string{value.substr(0, 60)} + "' (" + std::to_string(value.size()) + " bytes)";
}

} // namespace

std::string make_kill_value(std::string_view key, std::uint64_t number, std::size_t fill_bytes,
                            char fill) {
  std::string value{key};
  value += '#';
  value += std::to_string(number);
  value += '#';
  value.append(fill_bytes, fill);
  return value + "#end";
}

void kill_oracle::hear(std::string_view line) {
  words w{line};
  const auto kind = w.next();
  const std::string key{w.next()};
  std::lock_guard hold{mutex_};
  if (kind == "put" || kind == "erase") {
    sent_write sent{.level = static_cast<durability>(w.number())};
    sent.sent_at = steady::time_point{std::chrono::milliseconds{w.number()}};
    if (kind == "put") {
      sent.ttl_ms = w.number();
      const auto number = w.number();
      const auto fill_bytes = w.number();
      sent.value = make_kill_value(key, number, fill_bytes, w.next().front());
    }
    keys_[key].writes.push_back(std::move(sent));
    ++sent_;
  } else if (kind == "done") {
    auto& last = keys_[key].writes.back();
    last.answered = true;
    last.version = w.number();
    last.shard = static_cast<std::uint32_t>(w.number());
    last.answered_at = steady::now();
    ++acknowledged_;
  } else if (kind == "absent") {
    // No effect of its own: what a write at level memory had taken away, a crash may bring back.
    auto& last = keys_[key].writes.back();
    last.answered = true;
    last.level = durability::memory;
    ++acknowledged_;
  } else if (kind == "unknown") {
    keys_[key].writes.back().late = true;
  } else if (kind == "maybe") {
    transactions_[key].late = true;
  } else if (kind == "increment") {
    ++counters_[key].sent;
  } else if (kind == "incremented") {
    ++counters_[key].answered;
  } else if (kind == "transaction") {
    transactions_[key].newest_sent = w.number();
  } else if (kind == "committed") {
    transactions_[key].newest_answered = w.number();
  }
}

std::string kill_oracle::story(const key_history& history) {
  std::string text;
  for (std::size_t i = 0; i < history.writes.size(); ++i) {
    const auto& w = history.writes[i];
    text += "\n  write " + std::to_string(i) +
            (w.value.empty() ? ": erase" : ": " + excerpt(w.value)) + " at level " +
            std::to_string(static_cast<int>(w.level)) +
            (w.ttl_ms != 0 ? ", lives " + std::to_string(w.ttl_ms) + " ms" : "") +
            (w.answered ? ", done as LSN " + std::to_string(w.version) : ", not answered") +
            (w.late ? ", may come late" : "");
  }
  return text;
}

void kill_oracle::begin_life() {
  std::lock_guard hold{mutex_};
  keys_.clear();
  counters_.clear();
  transactions_.clear();
}

void kill_oracle::check(client& db, const std::vector<lsn_t>& announced,
                        steady::time_point killed_at, int crashes) {
  std::lock_guard hold{mutex_};
  one_crash_ = crashes == 1;
  suffixes found;
  std::vector<std::string_view> asked;
  std::vector<std::string_view> fields;
  for (const auto& [key, history] : keys_)
    (key.find('/') == std::string::npos ? asked : fields).push_back(key);
  const auto judge = [&](const std::string& key, const client_reply& reply) {
    if (!reply.ok() && reply.code() != op_code::not_found)
      fail("get " + key + ": " + reply.status.to_string());
    auto& history = keys_[key];
    check_key(key, history, reply, announced, killed_at, found);
    // What expires is over before anybody could ask again: as if it were not there.
    const auto shown = reply.ok() && reply.expires_at_ms == 0 ? reply.value : std::string{};
    history.has_base = reply.ok() && reply.expires_at_ms == 0;
    history.writes.clear();
    if (reply.ok() && reply.expires_at_ms != 0)
      history.writes.push_back({.value = reply.value,
                                .level = durability::memory, // may be gone by the next look
                                .ttl_ms = 1,
                                .sent_at = steady::now() - std::chrono::hours{1}});
    else
      history.writes.push_back({.value = shown, .level = durability::sync, .answered = true});
  };
  for (std::size_t begin = 0; begin < asked.size(); begin += 256) {
    const auto part =
        std::span{asked}.subspan(begin, std::min<std::size_t>(256, asked.size() - begin));
    const auto replies = db.multi_get(part);
    for (std::size_t i = 0; i < part.size(); ++i) judge(std::string{part[i]}, replies[i]);
  }
  for (const auto field : fields) judge(std::string{field}, read(db, std::string{field}));
  // After several crashes what a later one kept stands above what an earlier one lost.
  if (crashes == 1)
    for (const auto& [shard, lost] : found.oldest_lost)
      if (const auto kept = found.newest_kept.find(shard);
          kept != found.newest_kept.end() && kept->second > lost)
        fail("shard " + std::to_string(shard) + " lost LSN " + std::to_string(lost) +
             " and kept LSN " + std::to_string(kept->second) + ": what is lost must be a suffix");
  check_counters(db);
  check_transactions(db);
}

/// After a crash LSNs go on with the next block of so many (wal_stream_options::reservation); no
/// life here uses up a block. So what a server says in one life is about the LSNs of a block, and
/// not about those below, which the clients that went on had from the life before.
constexpr lsn_t lsns_of_a_life = 1u << 22;

void kill_oracle::check_key(const std::string& key, const key_history& history,
                            const client_reply& reply, const std::vector<lsn_t>& announced,
                            steady::time_point killed_at, suffixes& found) {
  const auto& writes = history.writes;
  const auto shown = reply.ok() ? reply.value : std::string{};
  const auto now = steady::now();
  const auto may_be_over = [&](const sent_write& w) {
    return w.ttl_ms != 0 && now >= w.sent_at + std::chrono::milliseconds{w.ttl_ms};
  };
  // The latest write that shows this; equal values are only those of erases and of what expired.
  std::size_t at = writes.size();
  // A change of the time to live leaves the value: which of the two it is, its end tells.
  const bool ends = reply.ok() && reply.expires_at_ms != 0;
  const auto shows = [&](const sent_write& w) {
    return (w.value == shown && (w.ttl_ms != 0) == ends) || (shown.empty() && may_be_over(w));
  };
  while (at > 0 && !shows(writes[at - 1])) --at;
  if (std::any_of(writes.begin(), writes.end(),
                  [&](const sent_write& w) { return w.late && shows(w); }))
    return;
  if (at == 0 && (!shown.empty() || history.has_base))
    fail("key " + key + " shows a value nobody wrote: " + excerpt(shown) +
         (ends ? ", with an end" : "") + story(history));
  // A record that should be over is not shown, whatever else happened: its expiry is absolute.
  if (at > 0 && !shown.empty() && writes[at - 1].ttl_ms > 1 && writes[at - 1].answered &&
      now > writes[at - 1].answered_at + std::chrono::milliseconds{writes[at - 1].ttl_ms + 1'000})
    fail("key " + key + " shows a value whose time to live was over a second ago");
  for (std::size_t i = at; i < writes.size(); ++i) {
    const auto& lost = writes[i];
    if (!lost.answered || lost.level == durability::memory) continue;
    if (lost.value.empty() && shown.empty()) continue;
    // It found nothing to erase, because of an erase that a crash may take back.
    const auto unlogged = [](const sent_write& w) {
      return w.value.empty() && w.level == durability::memory;
    };
    if (lost.value.empty() &&
        std::any_of(writes.begin() + static_cast<std::ptrdiff_t>(at),
                    writes.begin() + static_cast<std::ptrdiff_t>(i), unlogged))
      continue;
    if (lost.level == durability::sync)
      fail("key " + key + ": a write acknowledged at level sync is gone (write " +
           std::to_string(i) + " of " + std::to_string(writes.size()) + ", LSN " +
           std::to_string(lost.version) + ", " + excerpt(lost.value) + "); the key shows " +
           excerpt(shown) + story(history));
    ++lost_async_;
    if (one_crash_) // else it may have been an earlier one
      oldest_lost_ms_ =
          std::max(oldest_lost_ms_,
                   std::chrono::duration<double, std::milli>(killed_at - lost.answered_at).count());
    if (lost.version == 0) continue; // its place in the log is not known
    if (lost.shard < announced.size() && lost.version <= announced[lost.shard] &&
        lost.version / lsns_of_a_life == announced[lost.shard] / lsns_of_a_life)
      fail("key " + key + ": LSN " + std::to_string(lost.version) + " of shard " +
           std::to_string(lost.shard) + " was announced as durable and is gone; the key shows " +
           excerpt(shown) + " of LSN " + std::to_string(reply.version) + story(history));
    auto [oldest, fresh] = found.oldest_lost.emplace(lost.shard, lost.version);
    if (!fresh) oldest->second = std::min(oldest->second, lost.version);
  }
  if (at > 0 && writes[at - 1].answered && writes[at - 1].version != 0 &&
      writes[at - 1].level != durability::memory && reply.version == writes[at - 1].version) {
    auto [newest, fresh] = found.newest_kept.emplace(writes[at - 1].shard, reply.version);
    if (!fresh) newest->second = std::max(newest->second, reply.version);
  }
}

client_reply kill_oracle::read(client& db, const std::string& key) {
  const auto slash = key.find('/');
  if (slash == std::string::npos) return db.get(key);
  return field_reader_(key.substr(0, slash), key.substr(slash + 1));
}

void kill_oracle::check_counters(client& db) {
  for (auto& [key, counter] : counters_) {
    const auto reply = read(db, key);
    const auto value = reply.ok() ? std::stoull(reply.value) : 0;
    if (value < counter.base + counter.answered || value > counter.base + counter.sent)
      fail(key + " is " + std::to_string(value) + ", not between " +
           std::to_string(counter.base + counter.answered) + " acknowledged and " +
           std::to_string(counter.base + counter.sent) + " sent increments");
    counter = {.base = value};
  }
}

void kill_oracle::check_transactions(client& db) {
  for (auto& [name, state] : transactions_) {
    std::string first;
    // The fourth part is a field of a hash.
    for (int part = 0; part < (field_reader_ ? 4 : 3); ++part) {
      const auto reply = read(db, name + ":" + std::to_string(part) + (part == 3 ? "/stamp" : ""));
      if (part == 0)
        first = reply.value;
      else if (reply.value != first)
        fail("transaction " + name + " is torn: part 0 is '" + first + "', part " +
             std::to_string(part) + " is '" + reply.value + "'");
    }
    const auto number = first.empty() ? 0 : std::stoull(first);
    if ((!state.late && number < state.newest_answered) || number > state.newest_sent)
      fail("transaction " + name + " shows " + std::to_string(number) + ", acknowledged was " +
           std::to_string(state.newest_answered) + ", sent was " +
           std::to_string(state.newest_sent));
    state = {.newest_answered = number, .newest_sent = number};
  }
}

} // namespace warp::testing
