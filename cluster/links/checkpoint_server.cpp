#include "cluster/links/checkpoint_server.hpp"

#include "cluster/kj_loop.hpp"
#include "cluster/links/identity_conversion.hpp"
#include "cluster/links/tls_stream.hpp"
#include "cluster/listen_socket.hpp"
#include "messages/checkpoint_stream.capnp.h"
#include "messages/conversion.hpp"
#include "storage/checkpoint_transfer.hpp"

#include <capnp/rpc-twoparty.h>
#include <fmt/format.h>
#include <kj/exception.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <future>
#include <map>
#include <mutex>

namespace warp::cluster::links {

namespace {

struct offered {
  epoch_t max_epoch = 0;
  std::string path;
};

/// Reads one file for one asker.
class chunks final : public wire::CheckpointChunks::Server {
public:
  chunks(storage::checkpoint_exporter from, std::atomic<std::uint64_t>& sent)
      : from_(std::move(from)), sent_(sent) {}

  kj::Promise<void> read(ReadContext context) override {
    const auto chunk = from_.read(context.getParams().getOffset());
    auto results = context.getResults();
    if (!chunk.ok()) {
      write_status(chunk.status(), results.initStatus());
      return kj::READY_NOW;
    }
    results.setCrc(chunk->crc);
    results.setBytes(as_data(chunk->bytes));
    ++sent_;
    return kj::READY_NOW;
  }

private:
  storage::checkpoint_exporter from_;
  std::atomic<std::uint64_t>& sent_;
};

void write_offer(const storage::checkpoint_offer& from, epoch_t max_epoch,
                 wire::CheckpointOffer::Builder to) {
  to.setMaxEpoch(max_epoch);
  to.setHeader(as_data(storage::encode(from.header)));
  to.setEndEpoch(from.end.end_epoch);
  to.setEndLsn(from.end.end_lsn);
  to.setReservedLsn(from.end.reserved_lsn);
  to.setCreatedAtMs(from.end.created_at_ms);
  to.setRecords(from.records);
  to.setBytes(from.bytes);
  to.setChecksum(from.checksum);
}

} // namespace

struct checkpoint_server::state final : kj::TaskSet::ErrorHandler {
  state(node_identity who, std::optional<tls_files> how, storage::file_system& where)
      : self(std::move(who)), tls(std::move(how)), files(where) {}

  void taskFailed(kj::Exception&& e) override {
    spdlog::warn("checkpoints for other nodes: a connection failed: {}", e.getDescription().cStr());
  }

  std::optional<offered> find(node_id to, shard_id shard) {
    std::lock_guard guard{mutex};
    const auto at = offers.find({to, shard});
    return at == offers.end() ? std::nullopt : std::optional{at->second};
  }

  node_identity self;
  std::optional<tls_files> tls;
  storage::file_system& files;
  std::uint16_t port = 0;
  std::atomic<std::uint64_t> sent{0};
  std::mutex mutex;
  std::map<std::pair<node_id, shard_id>, offered> offers; // guarded by the mutex
  kj::Maybe<kj::Own<kj::PromiseFulfiller<void>>> end;     // the loop's
  std::unique_ptr<kj_loop> loop;
};

namespace {

/// What a connection gets.
template <class State>
class store final : public wire::CheckpointStore::Server {
public:
  explicit store(State& s) : state_(s) {}

  kj::Promise<void> open(OpenContext context) override {
    auto results = context.getResults();
    write(state_.self, results.initIdentity());
    if (const auto status = open(context.getParams(), results); !status.ok())
      write_status(status, results.initStatus());
    return kj::READY_NOW;
  }

private:
  op_status open(wire::CheckpointStore::OpenParams::Reader asked,
                 wire::CheckpointStore::OpenResults::Builder& results) {
    const auto peer = read(asked.getHello());
    if (!peer.ok()) return peer.status();
    if (auto status = judge_peer(state_.self, *peer); !status.ok()) {
      spdlog::warn("checkpoints for other nodes: refused: {}", status.message());
      return status;
    }
    const shard_id shard{asked.getShard()};
    const auto there = state_.find(peer->node, shard);
    if (!there)
      return {op_code::not_found,
              fmt::format("node {} has no checkpoint of shard {} for node {}",
                          state_.self.node.value, shard.value, peer->node.value)};
    if (there->max_epoch < asked.getMaxEpoch())
      return {
          op_code::version_mismatch,
          fmt::format("the checkpoint of shard {} is of epoch {}, node {} is at {} already: ask "
                      "another member",
                      shard.value, there->max_epoch, peer->node.value, asked.getMaxEpoch())};
    auto from = storage::checkpoint_exporter::open(state_.files, there->path);
    if (!from.ok()) return from.status();
    write_offer(from->offer(), there->max_epoch, results.initOffer());
    results.setChunks(kj::heap<chunks>(std::move(*from), state_.sent));
    return {};
  }

  State& state_;
};

} // namespace

checkpoint_server::checkpoint_server(std::unique_ptr<state> s) : state_(std::move(s)) {}

checkpoint_server::~checkpoint_server() {
  auto& s = *state_;
  if (!s.loop) return;
  s.loop->post([&s] {
    KJ_IF_MAYBE (end, s.end) (*end)->fulfill();
    s.end = nullptr;
  });
  s.loop->join();
}

op_result<std::unique_ptr<checkpoint_server>>
checkpoint_server::start(node_identity self, const peer_address& listen,
                         std::optional<tls_files> tls, storage::file_system& files) {
  if (auto status = check(self); !status.ok()) return status;
  if (tls)
    if (auto context = load(*tls); !context.ok()) return context.status();
  auto socket = listen_socket::open(to_string(listen), "cluster.checkpoints");
  if (!socket.ok()) return socket.status();
  auto made = std::make_unique<state>(std::move(self), std::move(tls), files);
  auto& s = *made;
  s.port = socket->port();
  auto ready = std::make_shared<std::promise<op_status>>();
  auto answer = ready->get_future();
  const int fd = socket->release();
  s.loop = std::make_unique<kj_loop>("bulk", [&s, fd, ready](kj_loop& loop) {
    auto receiver = loop.io().lowLevelProvider->wrapListenSocketFd(
        fd, kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP |
                kj::LowLevelAsyncIoProvider::ALREADY_NONBLOCK |
                kj::LowLevelAsyncIoProvider::ALREADY_CLOEXEC);
    auto paf = kj::newPromiseAndFulfiller<void>();
    s.end = kj::mv(paf.fulfiller);
    struct listening {
      state& s;
      kj::Own<kj::ConnectionReceiver> receiver;
      kj::Maybe<kj::Own<kj::TlsContext>> tls;
      capnp::TwoPartyServer server;
      kj::TaskSet tasks;
      explicit listening(state& owner, kj::Own<kj::ConnectionReceiver> from)
          : s(owner), receiver(kj::mv(from)), server(kj::heap<store<state>>(owner)), tasks(owner) {}
      kj::Promise<void> accept() {
        return receiver->accept().then([this](kj::Own<kj::AsyncIoStream> stream) {
          tasks.add(
              secure_server(tls, kj::mv(stream)).then([this](kj::Own<kj::AsyncIoStream> secured) {
                server.accept(kj::mv(secured));
              }));
          return accept();
        });
      }
    };
    auto listens = kj::heap<listening>(s, kj::mv(receiver));
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] {
                   if (s.tls) listens->tls = make_tls(*s.tls);
                 })) {
      ready->set_value({op_code::invalid_argument, e->getDescription().cStr()});
      return kj::Promise<void>{kj::READY_NOW};
    }
    auto accepting = listens->accept();
    ready->set_value({});
    return accepting.exclusiveJoin(kj::mv(paf.promise)).attach(kj::mv(listens));
  });
  if (auto status = answer.get(); !status.ok()) return status;
  return std::unique_ptr<checkpoint_server>{new checkpoint_server{std::move(made)}};
}

std::uint16_t checkpoint_server::port() const {
  return state_->port;
}

void checkpoint_server::offer(node_id to, shard_id shard, epoch_t max_epoch, std::string path) {
  std::lock_guard guard{state_->mutex};
  state_->offers[{to, shard}] = {max_epoch, std::move(path)};
}

void checkpoint_server::withdraw(node_id to, shard_id shard) {
  std::lock_guard guard{state_->mutex};
  state_->offers.erase({to, shard});
}

std::uint64_t checkpoint_server::chunks_sent() const {
  return state_->sent;
}

} // namespace warp::cluster::links
