// Concurrent calls on one engine, alone, in batches and in transactions, while checkpoints are
// written: is there an order of the calls on each key that explains all answers?

#include "storage/transaction.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/linearizability.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/generators/catch_generators.hpp>
#include <numeric>
#include <random>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

/// A thread's part: what it does to a handful of keys, and what it hears.
class caller {
public:
  caller(engine& db, recorded_history& history, unsigned number, std::uint64_t seed)
      : db_(db), history_(history, number), number_(number), random_(seed + number),
        known_(keys, 0) {}

  /// One batch of calls on different keys.
  void run(std::size_t batch) {
    std::vector<unsigned> chosen(keys);
    std::iota(chosen.begin(), chosen.end(), 0u);
    std::ranges::shuffle(chosen, random_);
    chosen.resize(batch);
    std::vector<register_event> events;
    std::vector<operation> operations;
    std::vector<std::string> names;
    names.reserve(batch);
    events.reserve(batch);
    for (const auto k : chosen) {
      events.push_back(begin(k));
      names.push_back(name(k));
      operations.push_back(operation_of(events.back(), names.back()));
    }
    std::vector<op_reply> replies(batch);
    arena_.clear();
    if (random_() % 3 == 0)
      transact(operations, replies);
    else
      db_.execute(operations, replies, arena_);
    for (std::size_t i = 0; i < batch; ++i) {
      answer(events[i], replies[i], chosen[i]);
      history_.end(names[i], std::move(events[i]));
    }
  }
  recorded_history::client& history() { return history_; }

  static constexpr unsigned keys = 6;

private:
  /// All of them in one transaction, which reads from the tables themselves.
  void transact(const std::vector<operation>& operations, std::vector<op_reply>& replies) {
    std::vector<std::string_view> names;
    for (const auto& op : operations) names.push_back(op.key);
    const auto code = db_.transact(
        names, {},
        [&](transaction& t) {
          for (std::size_t i = 0; i < operations.size(); ++i) {
            auto& reply = replies[i];
            if (operations[i].kind != op_kind::get) {
              t.apply(operations[i], reply);
              continue;
            }
            reply.reset();
            const auto* r = t.find(operations[i].key);
            reply.code = r ? op_code::ok : op_code::not_found;
            if (!r) continue;
            reply.version = r->version();
            reply.value = arena_.copy(r->value());
          }
          return transaction_end::commit;
        },
        waits_);
    if (code != op_code::ok)
      for (auto& reply : replies) reply.code = code;
  }

  /// The upper half counts.
  static std::string name(unsigned k) {
    return (k < keys / 2 ? "text" : "number") + std::to_string(k);
  }

  register_event begin(unsigned k) {
    const bool number = k >= keys / 2;
    switch (random_() % 6) {
    case 0:
    case 1:
      return history_.begin(register_call::get);
    case 2: {
      if (random_() % 4 == 0) return history_.begin(register_call::erase);
      [[fallthrough]];
    }
    case 3: {
      auto e = history_.begin(number ? register_call::increment : register_call::put);
      e.value = std::to_string(number_) + "/" + std::to_string(++written_) +
                std::string(random_() % 40, 'v');
      e.delta = static_cast<std::int64_t>(random_() % 9) - 4;
      return e;
    }
    default: {
      auto e = history_.begin(register_call::compare_and_set);
      e.expected = random_() % 8 == 0 ? 0 : known_[k];
      e.value = number ? std::to_string(random_() % 100)
                       : std::to_string(number_) + "=" + std::to_string(++written_);
      return e;
    }
    }
  }
  operation operation_of(const register_event& e, std::string_view key) {
    operation op{.level = durability::async, .key = key, .value = e.value};
    switch (e.call) {
    case register_call::get:
      op.kind = op_kind::get;
      op.level = durability::unspecified;
      break;
    case register_call::put:
      op.kind = op_kind::put;
      break;
    case register_call::erase:
      op.kind = op_kind::erase;
      break;
    case register_call::compare_and_set:
      op.kind = op_kind::put;
      op.condition = write_condition::if_version;
      op.expected_version = e.expected;
      break;
    case register_call::increment:
      op.kind = op_kind::increment;
      op.value = {};
      op.delta = e.delta;
      break;
    case register_call::replace: // of RESP alone
      throw std::logic_error("the engine has no such call");
    }
    return op;
  }
  void answer(register_event& e, const op_reply& reply, unsigned k) {
    switch (reply.code) {
    case op_code::ok:
      e.outcome = register_outcome::ok;
      break;
    case op_code::not_found:
      e.outcome = register_outcome::not_found;
      break;
    case op_code::version_mismatch:
      e.outcome = register_outcome::version_mismatch;
      break;
    case op_code::wrong_type:
      e.outcome = register_outcome::wrong_type;
      break;
    default:
      e.outcome = register_outcome::refused;
    }
    e.version = reply.version;
    e.number = reply.number;
    if (e.call == register_call::get) e.value = reply.large ? reply.large.view() : reply.value;
    known_[k] = reply.version;
  }

  engine& db_;
  recorded_history::client history_;
  unsigned number_;
  std::mt19937_64 random_;
  std::vector<lsn_t> known_;
  std::uint64_t written_ = 0;
  value_arena arena_;
  std::vector<durable_target> waits_;
};

} // namespace

TEST_CASE("what several threads hear from one engine is linearizable, key by key",
          "[storage][engine][concurrency][linearizability]") {
  const std::size_t batch = GENERATE(1u, 4u);
  const auto seed = std::random_device{}();
  CAPTURE(batch, seed);
  temp_folder folder;
  running_engine db{small_options(folder.path())};
  recorded_history history;
  constexpr unsigned threads = 4, rounds = 10'000;
  std::vector<std::unique_ptr<caller>> callers;
  for (unsigned t = 0; t < threads; ++t)
    callers.push_back(std::make_unique<caller>(*db, history, t, seed));
  std::atomic<bool> over{false};
  std::uint32_t checkpoints = 0, failed = 0;
  {
    std::jthread checkpointer{[&] {
      do
        if (!db->checkpoint(shard_id{checkpoints++ % 4}).ok()) ++failed;
      while (!over);
    }};
    std::vector<std::jthread> running;
    for (auto& c : callers)
      running.emplace_back([&] {
        for (unsigned i = 0; i < rounds; ++i) c->run(batch);
      });
    running.clear();
    over = true;
  }
  CHECK(failed == 0);
  for (auto& c : callers) history.take(std::move(c->history()));
  CHECK(history.size() == threads * rounds * batch);
  const auto complaint = history.complaint();
  INFO(complaint);
  CHECK(complaint.empty());
}
