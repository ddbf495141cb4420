#include "cluster/client.hpp"

#include "cluster/client_calls.hpp"
#include "cluster/client_core.hpp"
#include "cluster/client_stream.hpp"
#include "cluster/client_windows.hpp"
#include "messages/conversion.hpp"
#include "messages/packed_fields.hpp"
#include "storage/slot.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace warp {

using cluster::client_call;
using cluster::client_clock;
using cluster::client_job;

namespace {

std::vector<client_reply> take_replies(client_job& job) {
  return std::move(job.replies);
}

/// Counts what the job weighs and whether it writes.
void weigh(client_job& job) {
  for (auto& i : job.items) {
    job.size_bytes += i.op.key.size() + i.op.value.size() + 64;
    job.has_writes = job.has_writes || is_write(i.op.kind);
  }
}

} // namespace

op_result<std::unique_ptr<client>> client::connect(client_options options) {
  if (options.addresses.empty())
    return op_status{op_code::invalid_argument, "no address to connect to"};
  for (auto& a : options.addresses)
    if (a.empty()) return op_status{op_code::invalid_argument, "an empty address to connect to"};
  if (options.connections == 0)
    return op_status{op_code::invalid_argument, "a pool of 0 connections"};
  auto s = std::make_shared<state>(std::move(options));
  if (auto status = s->core.wait_connected(); !status.ok()) return status;
  return std::unique_ptr<client>{new client{std::move(s)}};
}

client::client(std::shared_ptr<state> s) : state_(std::move(s)) {}

client::~client() = default;

// -- batches ------------------------------------------------------------------------------------

namespace {

/// Sends the job and waits for it.
void run(cluster::client_core& core, const std::shared_ptr<client_job>& job) {
  weigh(*job);
  job->deadline = client_clock::now() + core.options().deadline;
  auto answered = std::make_shared<std::promise<void>>();
  auto wait = answered->get_future();
  job->done = [answered](client_job&) { answered->set_value(); };
  core.submit(job);
  wait.wait();
}

client_reply run_single(cluster::client_core& core, const operation& op, std::uint64_t ttl_ms) {
  auto job = std::make_shared<client_job>();
  job->items.resize(1);
  job->items[0].op = op;
  job->items[0].ttl_ms = ttl_ms;
  run(core, job);
  return std::move(job->replies[0]);
}

operation make(op_kind kind, std::string_view key, durability level) {
  operation op;
  op.kind = kind;
  op.key = key;
  op.level = level;
  return op;
}

operation make(op_kind kind, std::string_view key, const client_write_options& options) {
  auto op = make(kind, key, options.level);
  op.condition = options.condition;
  op.rank = options.rank;
  op.pattern = options.pattern;
  op.keep_expiry = options.keep_expiry;
  op.expected_version = options.expected_version;
  op.expires_at_ms = options.expires_at_ms;
  return op;
}

std::uint64_t ttl_of(const client_write_options& options) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, options.time_to_live.count()));
}

} // namespace

client_reply client::get(std::string_view key, durability level) {
  return run_single(state_->core, make(op_kind::get, key, level), 0);
}

client_reply client::exists(std::string_view key, durability level) {
  return run_single(state_->core, make(op_kind::exists, key, level), 0);
}

client_reply client::put(std::string_view key, std::string_view value,
                         const client_write_options& options) {
  auto op = make(op_kind::put, key, options);
  op.value = value;
  return run_single(state_->core, op, ttl_of(options));
}

client_reply client::erase(std::string_view key, const client_write_options& options) {
  auto op = make(op_kind::erase, key, options);
  op.expires_at_ms = 0;
  op.keep_expiry = false;
  return run_single(state_->core, op, 0);
}

client_reply client::compare_and_set(std::string_view key, lsn_t expected, std::string_view value,
                                     client_write_options options) {
  options.condition = write_condition::if_version;
  options.expected_version = expected;
  return put(key, value, options);
}

client_reply client::increment(std::string_view key, std::int64_t delta, durability level) {
  auto op = make(op_kind::increment, key, level);
  op.delta = delta;
  return run_single(state_->core, op, 0);
}

client_reply client::hash_set(std::string_view key, std::string_view pairs,
                              const client_write_options& options) {
  auto op = make(op_kind::hash_set, key, options);
  op.value = pairs;
  return run_single(state_->core, op, ttl_of(options));
}

client_reply client::hash_erase(std::string_view key, std::string_view names,
                                const client_write_options& options) {
  auto op = make(op_kind::hash_erase, key, options);
  op.value = names;
  return run_single(state_->core, op, 0);
}

client_reply client::hash_increment(std::string_view key, std::string_view name, std::int64_t delta,
                                    durability level) {
  field_packer packer;
  packer.add_name(name);
  auto op = make(op_kind::hash_increment, key, level);
  op.value = packer.packed();
  op.delta = delta;
  return run_single(state_->core, op, 0);
}

client_reply client::hash_get(std::string_view key, std::string_view names, durability level) {
  auto op = make(op_kind::hash_get, key, level);
  op.value = names;
  return run_single(state_->core, op, 0);
}

client_reply client::hash_all(std::string_view key, durability level) {
  return run_single(state_->core, make(op_kind::hash_all, key, level), 0);
}

client_reply client::expire(std::string_view key, const client_write_options& options) {
  return run_single(state_->core, make(op_kind::expire, key, options), ttl_of(options));
}

std::vector<client_reply> client::multi_get(std::span<const std::string_view> keys) {
  if (keys.empty()) return {};
  auto job = std::make_shared<client_job>();
  job->items.resize(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i)
    job->items[i].op = make(op_kind::get, keys[i], durability::unspecified);
  run(state_->core, job);
  return take_replies(*job);
}

std::vector<client_reply>
client::multi_put(std::span<const std::pair<std::string_view, std::string_view>> pairs,
                  const client_write_options& options) {
  if (pairs.empty()) return {};
  auto job = std::make_shared<client_job>();
  job->items.resize(pairs.size());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    job->items[i].op = make(op_kind::put, pairs[i].first, options);
    job->items[i].op.value = pairs[i].second;
    job->items[i].ttl_ms = ttl_of(options);
  }
  run(state_->core, job);
  return take_replies(*job);
}

/// The job of a batch whose bytes live at `bytes` until the job is done.
void client::state::load(client_job& job, const client_batch& batch, const char* bytes) {
  job.items.resize(batch.items_.size());
  for (std::size_t i = 0; i < batch.items_.size(); ++i) {
    const auto& from = batch.items_[i];
    auto& to = job.items[i];
    to.op = from.op;
    to.op.key = {bytes + from.offset, from.key_size};
    to.op.value = {bytes + from.offset + from.key_size, from.value_size};
    to.ttl_ms = from.ttl_ms;
  }
}

std::vector<client_reply> client::execute(const client_batch& batch) {
  if (batch.empty()) return {};
  auto job = std::make_shared<client_job>();
  state::load(*job, batch, batch.bytes_.data());
  run(state_->core, job);
  return take_replies(*job);
}

client::atomic_reply client::execute_atomic(const client_batch& batch) {
  if (batch.empty()) return {};
  if (batch.size() > batch_operations_max)
    return {{op_code::invalid_argument, std::to_string(batch.size()) +
                                            " operations in an atomic batch, the limit is " +
                                            std::to_string(batch_operations_max)},
            {}};
  auto job = std::make_shared<client_job>();
  job->atomic = true;
  state::load(*job, batch, batch.bytes_.data());
  run(state_->core, job);
  return {std::move(job->atomic_status), take_replies(*job)};
}

void client::execute_async(client_batch batch, callback done) {
  if (batch.empty()) return done({});
  state_->core.wait_for_room();
  auto job = std::make_shared<client_job>();
  job->bytes = std::move(batch.bytes_);
  state::load(*job, batch, job->bytes.data());
  weigh(*job);
  job->deadline = client_clock::now() + state_->core.options().deadline;
  job->done = [done = std::move(done)](client_job& j) { done(take_replies(j)); };
  state_->core.submit(std::move(job));
}

std::future<std::vector<client_reply>> client::execute_async(client_batch batch) {
  auto promise = std::make_shared<std::promise<std::vector<client_reply>>>();
  auto future = promise->get_future();
  execute_async(std::move(batch), [promise](std::vector<client_reply> replies) {
    promise->set_value(std::move(replies));
  });
  return future;
}

// -- everything else ----------------------------------------------------------------------------

op_result<client_scan_page> client::scan_page(std::uint64_t cursor, std::string_view prefix,
                                              std::size_t limit, bool keys_only) {
  // The shard of a cursor stands where that of a slot does: in the highest bits.
  constexpr auto slot_shift = 64 - std::bit_width(slot_count - 1);
  const slot_id slot{static_cast<std::uint32_t>(cursor >> slot_shift)};
  auto page = state_->call<client_scan_page>(
      [cursor, prefix = std::string{prefix}, limit, keys_only](wire::Session::Client session,
                                                               auto out) {
        auto request = session.scanRequest();
        request.setCursor(cursor);
        request.setPrefix(as_data(prefix));
        request.setLimit(static_cast<std::uint32_t>(std::min<std::size_t>(limit, 0xffff'ffffu)));
        request.setKeysOnly(keys_only);
        return request.send().then([out](capnp::Response<wire::Session::ScanResults>&& answer) {
          if (answer.hasStatus()) return read_status(answer.getStatus());
          *out = {};
          for (const auto entry : answer.getEntries())
            out->records.push_back({std::string{as_view(entry.getKey())},
                                    std::string{as_view(entry.getValue())}, entry.getVersion(),
                                    entry.getExpiresAtMs(), entry.getValueOmitted(),
                                    read_type(entry.getType()).value_or(value_type::bytes)});
          out->next_cursor = answer.getNextCursor();
          return op_status{};
        });
      },
      {}, false, slot);
  if (!page || keys_only) return page;
  // Values that made the page too long come one by one.
  for (auto& r : page->records) {
    if (!r.value_omitted) continue;
    auto reply = r.type == value_type::hash ? hash_all(r.key) : get(r.key);
    if (reply.code() == op_code::wrong_type) { // it was replaced in between
      r.type = r.type == value_type::hash ? value_type::bytes : value_type::hash;
      reply = r.type == value_type::hash ? hash_all(r.key) : get(r.key);
    }
    if (reply.ok()) {
      r = {std::move(r.key),
           std::move(reply.value),
           reply.version,
           reply.expires_at_ms,
           false,
           r.type};
    } else if (reply.code() != op_code::not_found) {
      return reply.status;
    }
  }
  // What was erased in between is no record any more.
  std::erase_if(page->records, [](const client_record& r) { return r.value_omitted; });
  return page;
}

op_status client::scan(std::string_view prefix,
                       const std::function<bool(const client_record&)>& visit, bool keys_only) {
  constexpr std::size_t page_records = 1'000;
  std::uint64_t cursor = 0;
  do {
    auto page = scan_page(cursor, prefix, page_records, keys_only);
    if (!page) return page.status();
    for (auto& r : page->records)
      if (!visit(r)) return {};
    cursor = page->next_cursor;
  } while (cursor != 0);
  return {};
}

op_result<std::chrono::nanoseconds> client::ping() {
  return state_->call<std::chrono::nanoseconds>([](wire::Session::Client session, auto out) {
    const auto began = client_clock::now();
    return session.pingRequest().send().then(
        [out, began](capnp::Response<wire::Session::PingResults>&&) {
          *out = client_clock::now() - began;
          return op_status{};
        });
  });
}

op_result<server_info> client::info() {
  return state_->call<server_info>([](wire::Session::Client session, auto out) {
    return session.infoRequest().send().then(
        [out](capnp::Response<wire::Session::InfoResults>&& answer) {
          *out = cluster::read_info(answer.getInfo());
          return op_status{};
        });
  });
}

op_result<std::unique_ptr<put_stream>> client::stream_puts(put_stream_options options) {
  const auto server = info();
  if (!server) return server.status();
  if (server->clustered)
    return std::unique_ptr<put_stream>{
        new put_stream{std::make_shared<cluster::client_windows>(state_->core, options, *server)}};
  auto stream = std::make_shared<cluster::client_stream>(state_->core, options, *server);
  stream->begin();
  return std::unique_ptr<put_stream>{new put_stream{std::move(stream)}};
}

client_admin client::admin() {
  return client_admin{*this};
}

client::counters client::count() const noexcept {
  const auto& c = state_->core.count();
  return {c.operations.load(std::memory_order_relaxed), c.messages.load(std::memory_order_relaxed),
          c.retries.load(std::memory_order_relaxed), c.reconnects.load(std::memory_order_relaxed)};
}

std::uint64_t client::client_id() const noexcept {
  return state_->core.options().client_id;
}

} // namespace warp
