#include "cluster/links/checkpoint_fetch.hpp"

#include "cluster/links/identity_conversion.hpp"
#include "cluster/links/tls_stream.hpp"
#include "messages/checkpoint_stream.capnp.h"
#include "messages/conversion.hpp"

#include <capnp/rpc-twoparty.h>
#include <deque>
#include <fmt/format.h>
#include <kj/exception.h>

namespace warp::cluster::links {

namespace {

using clock = std::chrono::steady_clock;
using storage::checkpoint_chunk_bytes;

constexpr std::size_t under_way_max = 2;
constexpr auto answer_max = 10 * kj::SECONDS;
constexpr auto pause = 100 * kj::MILLISECONDS;
/// A chunk that arrives damaged is asked for so often.
constexpr int damaged_max = 3;

op_result<storage::checkpoint_offer> read_offer(wire::CheckpointOffer::Reader from) {
  const auto bytes = as_view(from.getHeader());
  if (bytes.size() != storage::checkpoint_header_bytes)
    return op_status{op_code::corruption, "a checkpoint is on offer without its header"};
  auto header = storage::decode_checkpoint_header(bytes);
  if (!header.ok()) return header.status();
  return storage::checkpoint_offer{
      *header,
      {from.getEndEpoch(), from.getEndLsn(), from.getReservedLsn(), from.getCreatedAtMs()},
      from.getRecords(),
      from.getBytes(),
      from.getChecksum()};
}

bool same(const storage::checkpoint_offer& a, const storage::checkpoint_offer& b) {
  return a.header == b.header && a.end == b.end && a.records == b.records && a.bytes == b.bytes &&
         a.checksum == b.checksum;
}

class fetcher {
public:
  fetcher(const checkpoint_wish& wish, storage::file_system& files)
      : wish_(wish), files_(files), io_(kj::setupAsyncIo()) {}

  op_result<fetched_checkpoint> run() {
    KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] {
                   if (wish_.tls) tls_ = make_tls(*wish_.tls);
                 }))
      return op_status{op_code::invalid_argument, e->getDescription().cStr()};
    auto last = clock::now();
    for (;;) {
      if (wish_.wanted && !wish_.wanted()) return given_up();
      const auto before = importer_ ? importer_->next_offset() : 0;
      op_status status;
      KJ_IF_MAYBE (e, kj::runCatchingExceptions([&] { status = try_once(); }))
        status = {op_code::unavailable, e->getDescription().cStr()};
      if (status.ok()) return std::move(result_);
      if (is_final(status)) return status;
      if (importer_ && importer_->next_offset() > before) last = clock::now();
      if (clock::now() - last > wish_.patience)
        return op_status{op_code::timed_out,
                         fmt::format("no checkpoint of shard {} from node {} ({}): {}",
                                     wish_.shard.value, wish_.from.value, to_string(wish_.address),
                                     status.message())};
      io_.provider->getTimer().afterDelay(pause).wait(io_.waitScope);
    }
  }

private:
  /// Trying again would not help.
  static bool is_final(const op_status& status) {
    switch (status.code()) {
    case op_code::unavailable:
    case op_code::not_found: // not yet
    case op_code::timed_out:
    case op_code::corruption: // on its way; the part is gone if it is the part that is damaged
      return false;
    default:
      return true;
    }
  }
  static op_status given_up() { return {op_code::shutting_down, "not wanted any more"}; }

  template <class T>
  T wait(kj::Promise<T> promise) {
    return io_.provider->getTimer().timeoutAfter(answer_max, kj::mv(promise)).wait(io_.waitScope);
  }

  op_status try_once() {
    auto address = wait(
        io_.provider->getNetwork().parseAddress(wish_.address.host.c_str(), wish_.address.port));
    auto stream = wait(
        secure_client(tls_, wish_.tls ? wish_.tls->name : std::string{}, wait(address->connect())));
    capnp::TwoPartyClient client{*stream};
    auto store = client.bootstrap().castAs<wire::CheckpointStore>();
    auto request = store.openRequest();
    write(wish_.self, request.initHello());
    request.setShard(wish_.shard.value);
    request.setMaxEpoch(wish_.max_epoch);
    auto opened = wait<capnp::Response<wire::CheckpointStore::OpenResults>>(request.send());
    const auto peer = read(opened.getIdentity());
    if (!peer.ok()) return peer.status();
    if (auto status = judge_peer(wish_.self, *peer); !status.ok()) return status;
    if (peer->node != wish_.from)
      return {op_code::invalid_argument,
              fmt::format("node {} answers at {}, expected is node {}", peer->node.value,
                          to_string(wish_.address), wish_.from.value)};
    if (auto status = read_status(opened.getStatus()); !status.ok()) return status;
    const auto max_epoch = opened.getOffer().getMaxEpoch();
    if (max_epoch < wish_.max_epoch)
      return {op_code::version_mismatch,
              fmt::format("a checkpoint of epoch {} is on offer, this copy is at {}", max_epoch,
                          wish_.max_epoch)};
    auto offer = read_offer(opened.getOffer());
    if (!offer.ok()) return offer.status();
    if (offer->header.shard != wish_.shard)
      return {op_code::invalid_argument,
              fmt::format("a checkpoint of shard {} is on offer as one of shard {}",
                          offer->header.shard.value, wish_.shard.value)};
    if (auto status = take_up(*offer); !status.ok()) return status;
    result_.max_epoch = max_epoch;
    result_.offer = *offer;
    ++result_.connections;
    if (auto status = pull(opened.getChunks()); !status.ok()) return status;
    auto status = importer_->finish();
    if (!status.ok()) importer_.reset(); // from what there is on disk, if that is anything
    return status;
  }

  /// An importer for this offer: the one there is, or a new one.
  op_status take_up(const storage::checkpoint_offer& offer) {
    if (importer_ && same(offer, result_.offer)) return {};
    if (importer_)
      if (auto status = importer_->abandon(); !status.ok()) return status;
    auto opened = storage::checkpoint_importer::open(files_, wish_.path, offer);
    if (!opened.ok()) return opened.status();
    importer_ = std::move(*opened);
    if (wish_.coming) wish_.coming(offer.end.end_lsn);
    return {};
  }

  op_status pull(wire::CheckpointChunks::Client from) {
    using answer = capnp::Response<wire::CheckpointChunks::ReadResults>;
    const auto total = result_.offer.bytes;
    std::deque<kj::Promise<answer>> under_way;
    auto next = importer_->next_offset();
    int damaged = 0;
    while (importer_->next_offset() < total) {
      if (wish_.wanted && !wish_.wanted()) return given_up();
      for (; under_way.size() < under_way_max && next < total; next += checkpoint_chunk_bytes) {
        auto request = from.readRequest();
        request.setOffset(next);
        under_way.push_back(request.send());
      }
      auto got = wait<answer>(kj::mv(under_way.front()));
      under_way.pop_front();
      auto status = read_status(got.getStatus());
      if (status.ok())
        status =
            importer_->accept({importer_->next_offset(), got.getCrc(), as_view(got.getBytes())});
      if (status.code() == op_code::corruption && ++damaged <= damaged_max) {
        under_way.clear();
        next = importer_->next_offset();
        continue;
      }
      if (!status.ok()) return status;
    }
    return {};
  }

  const checkpoint_wish& wish_;
  storage::file_system& files_;
  kj::AsyncIoContext io_;
  kj::Maybe<kj::Own<kj::TlsContext>> tls_;
  std::optional<storage::checkpoint_importer> importer_;
  fetched_checkpoint result_;
};

} // namespace

op_result<fetched_checkpoint> fetch_checkpoint(const checkpoint_wish& wish,
                                               storage::file_system& files) {
  if (auto status = check(wish.self); !status.ok()) return status;
  return fetcher{wish, files}.run();
}

} // namespace warp::cluster::links
