#include "tests/simulation/invariants.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <map>
#include <string>

using namespace warp;
using namespace warp::cluster::replication;
using namespace warp::testing;

namespace {

/// A shard at level durable with members on nodes 0, 1 and 2, whose primary on node 0 has committed
/// its no-op: the only record, on all three disks. The processes of the others have ended.
class three_copies {
public:
  three_copies() {
    std::vector<node_view> views(3);
    for (std::size_t i = 0; i < 3; ++i) views[i].disk = &disks_[i], views[i].table = &tables_[i];
    views[0].machine = &primary_;
    judge_.watch(std::move(views));
    judge_.authority_changed();
    etcd_.on_watch([](std::size_t) {});
    etcd_.on_change([this] { judge_.authority_changed(); });
    feed(event::authority_read{etcd_.revision(), etcd_.value()});
    for (int i = 0; i < 2; ++i) feed(event::wal_synced{disks_[0].synced(~std::uint64_t{0})});
    for (std::uint32_t i = 1; i < 3; ++i) {
      disks_[i].write(1, 1, wal::records{{*primary_.log().find(primary_.log().last().lsn)}}, {});
      disks_[i].synced(1);
      const auto end = primary_.log().last().lsn;
      feed(event::received{{{node_id{i}, boot_id{1}}, append_ack{1, end, end, 0}}});
    }
    REQUIRE(judge_.commits() == 1);
    REQUIRE(judge_.violation().empty());
  }

  /// An operator makes the copy of a node start again, and nothing can be read of its log.
  void repair(std::size_t node) {
    for (std::uint64_t seed = 1; disks_[node].last_lsn() != 0; ++seed) {
      sim_random random{seed};
      disks_[node].repair(random);
    }
  }
  /// Something else cuts it.
  void cut(std::size_t node) {
    disks_[node].write(2, 2, wal::truncation{1}, {});
    disks_[node].synced(2);
  }
  void complete(std::size_t node) {
    disks_[node].write(3, 3, wal::complete{}, {});
    disks_[node].synced(3);
  }
  std::string judged() {
    judge_.restarted(1);
    return judge_.violation().substr(0, judge_.violation().find(','));
  }

private:
  void feed(const replica_event& e) {
    for (auto& a : primary_.step(e, 0))
      if (auto* w = std::get_if<action::write_wal>(&a))
        disks_[0].write(++written_, w->position, std::move(w->what), {});
      else if (const auto* c = std::get_if<action::committed>(&a))
        judge_.committed(0, c->lsn, true);
  }

  event_queue queue_;
  model_etcd etcd_{queue_, 1, 3, [] {
                     authority first{1, {node_id{0}, boot_id{1}}};
                     for (std::uint32_t i = 0; i < 3; ++i)
                       first.isr.push_back({node_id{i}, boot_id{1}});
                     return first;
                   }()};
  invariants judge_{replication_options{}, etcd_};
  std::map<std::size_t, model_disk> disks_;
  std::map<std::size_t, model_table> tables_;
  replica primary_{{}, {node_id{0}, boot_id{1}}, {}, 0};
  std::uint64_t written_ = 0;
};

} // namespace

TEST_CASE("a listed copy that does not run and lacks what is committed is seen (I4)",
          "[simulation]") {
  three_copies whole;
  CHECK(whole.judged().empty());
  three_copies cut;
  cut.cut(2);
  CHECK(cut.judged() == "I4: after a restart");
}

TEST_CASE("what an operator has cut from a copy is no fault of it, until it is a member again (I4)",
          "[simulation]") {
  three_copies copies;
  copies.repair(1);
  CHECK(copies.judged().empty());
  SECTION("nor does it excuse another copy") {
    copies.cut(2);
    CHECK(copies.judged() == "I4: after a restart");
  }
  SECTION("once it is a member again it counts") {
    copies.complete(1);
    CHECK(copies.judged() == "I4: after a restart");
  }
}
