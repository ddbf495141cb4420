#include "cluster/replication/replica.hpp"

#include <catch2/catch_test_macros.hpp>
#include <utility>

using namespace warp;
using namespace warp::cluster::replication;

namespace {

constexpr member one{node_id{1}, boot_id{1}}, two{node_id{2}, boot_id{1}};

template <class Action>
std::vector<Action> of(const std::vector<replica_action>& actions) {
  std::vector<Action> some;
  for (const auto& a : actions)
    if (const auto* found = std::get_if<Action>(&a)) some.push_back(*found);
  return some;
}

/// The messages of one kind that are sent.
template <class Body>
std::vector<Body> said(const std::vector<replica_action>& actions) {
  std::vector<Body> some;
  for (const auto& s : of<action::send>(actions))
    if (const auto* found = std::get_if<Body>(&s.what.body)) some.push_back(*found);
  return some;
}

log_record record(lsn_t lsn, epoch_t epoch, std::string body = "x") {
  return {lsn, epoch, false, std::move(body)};
}
event::received from_one(append m) {
  return {{one, std::move(m)}};
}
/// The last place written in the log by these actions.
event::wal_synced all_synced(const std::vector<replica_action>& actions) {
  std::uint64_t end = 0;
  for (const auto& w : of<action::write_wal>(actions)) end = w.position;
  return {end};
}

/// Node 2 as a member of {1, 2} that has taken LSN 5 of epoch 3 from node 1 and synced it.
struct follower {
  replica machine{{}, two, {}, 0};
  follower() {
    (void)machine.step(event::authority_read{7, {3, one, {one, two}}}, 0);
    const auto fence = machine.step(from_one({3, 0, 0, 0, 100, {record(5, 3)}}), 0);
    const auto written = machine.step(all_synced(fence), 0);
    (void)machine.step(all_synced(written), 0);
  }
};

/// Node 1 as the primary of epoch 3 with node 2, its no-op at LSN 65,537 not yet acknowledged.
struct primary {
  replica machine{{}, one, {}, 0};
  primary() {
    const auto fence = machine.step(event::authority_read{7, {3, one, {one, two}}}, 0);
    const auto no_op = machine.step(all_synced(fence), 0);
    (void)machine.step(all_synced(no_op), 0);
  }
  auto ack(lsn_t lsn, moment sent_at, moment now, member from = two) {
    return machine.step(event::received{{from, append_ack{3, lsn, lsn, sent_at}}}, now);
  }
};

} // namespace

TEST_CASE("nothing is acknowledged in an epoch before it is on disk (R1)", "[replication]") {
  replica machine{{}, two, {}, 0};
  const auto first = machine.step(from_one({3, 0, 0, 0, 100, {record(5, 3)}}), 0);
  CHECK(said<append_ack>(first).empty());
  CHECK(machine.log().last().lsn == 0);
  REQUIRE(of<action::sync_wal>(first).size() == 1);
  const auto then = machine.step(all_synced(first), 0);
  REQUIRE(said<append_ack>(then).size() == 1);
  CHECK(said<append_ack>(then)[0].appended_lsn == 5);
  CHECK(said<append_ack>(then)[0].durable_lsn == 0);
}

TEST_CASE("records whose primary waits for the sync alone are acknowledged once, with the lease",
          "[replication]") {
  follower f;
  append m{3, 5, 3, 0, 700, {record(6, 3), record(7, 3)}};
  m.wants_appended = false;
  const auto taken = f.machine.step(from_one(m), 10);
  CHECK(said<append_ack>(taken).empty());
  const auto acks = said<append_ack>(f.machine.step(all_synced(taken), 20));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].appended_lsn == 7);
  CHECK(acks[0].durable_lsn == 7);
  CHECK(acks[0].granted == 700);
  CHECK(said<append_ack>(f.machine.step(event::tick{}, 40 * milliseconds)).empty());
}

TEST_CASE("a disk that is slow costs the primary no lease: records are acknowledged as appended",
          "[replication]") {
  follower f;
  const replication_options options;
  append m{3, 5, 3, 0, 700, {record(6, 3)}};
  m.wants_appended = false;
  const auto taken = f.machine.step(from_one(m), 0);
  CHECK(said<append_ack>(f.machine.step(event::tick{}, options.ack_delay_max - 1)).empty());
  const auto acks = said<append_ack>(f.machine.step(event::tick{}, options.ack_delay_max));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].appended_lsn == 6);
  CHECK(acks[0].durable_lsn == 5);
  CHECK(acks[0].granted == 700);
  const auto synced = said<append_ack>(f.machine.step(all_synced(taken), options.ack_delay_max));
  REQUIRE(synced.size() == 1);
  CHECK(synced[0].durable_lsn == 6);
}

TEST_CASE("a sync that nobody waits for is told with the next Ack", "[replication]") {
  follower f;
  append m{3, 5, 3, 0, 700, {record(6, 3)}};
  m.wants_durable = false;
  const auto taken = f.machine.step(from_one(m), 0);
  REQUIRE(said<append_ack>(taken).size() == 1);
  CHECK(said<append_ack>(f.machine.step(all_synced(taken), 0)).empty());
  const auto acks = said<append_ack>(f.machine.step(from_one({3, 6, 3, 0, 800, {}}), 0));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].durable_lsn == 6);
}

TEST_CASE("a copy whose folder was made anew takes up no seat of an earlier life (R11)",
          "[replication]") {
  const auto claims = [](boot_id stopped, boot_id seat) {
    recovered_copy found;
    found.stopped_boot = stopped;
    replica machine{{}, {node_id{2}, boot_id{9}}, std::move(found), 0};
    const member listed{node_id{2}, seat};
    (void)machine.step(event::nodes_seen{{}}, 0);
    (void)machine.step(event::authority_read{7, {3, listed, {listed}}}, 0);
    return !of<action::compare_and_set>(machine.step(event::tick{}, 10 * seconds)).empty();
  };
  CHECK(claims(boot_id{5}, boot_id{5}));
  CHECK(claims({}, boot_id{5})); // after a crash: at level durable all it has promised is on disk
  CHECK_FALSE(claims(never_lived, boot_id{5}));
  CHECK(claims(never_lived, never_lived)); // the first start of a cluster
}

TEST_CASE("of those that may take up a seat the longest log goes first, and no other is waited for "
          "(R11)",
          "[replication]") {
  const auto claims = [](lsn_t others_last, bool incomplete) {
    recovered_copy found;
    found.max_epoch = 3;
    found.log = replica_log{{5, 3, 0}};
    found.commit_lsn = 5;
    replica machine{{}, {node_id{2}, boot_id{9}}, std::move(found), 0};
    const member other{node_id{1}, boot_id{4}}, own{node_id{2}, boot_id{8}};
    (void)machine.step(event::nodes_seen{{}}, 0);
    (void)machine.step(event::authority_read{7, {3, other, {other, own}}}, 0);
    const moment now = 10 * seconds;
    const member restarted{node_id{1}, boot_id{5}};
    (void)machine.step(event::received{{restarted, join{others_last, 3, 5, 0, incomplete}}}, now);
    return !of<action::compare_and_set>(machine.step(event::tick{}, now)).empty();
  };
  CHECK(claims(5, false));
  CHECK_FALSE(claims(6, false));
  CHECK(claims(6, true)); // begun anew, and not taken in since: it may not go
}

TEST_CASE("an Append of an epoch that is over is refused with the one that is known (R1)",
          "[replication]") {
  follower f;
  const auto answer = f.machine.step(from_one({2, 0, 0, 0, 100, {}}), 0);
  REQUIRE(said<append_nack>(answer).size() == 1);
  CHECK(said<append_nack>(answer)[0].max_epoch == 3);
}

TEST_CASE("records that do not fit are refused with what is needed (R2)", "[replication]") {
  follower f;
  const auto answer = f.machine.step(from_one({3, 8, 3, 0, 100, {record(9, 3)}}), 0);
  REQUIRE(said<append_nack>(answer).size() == 1);
  CHECK(said<append_nack>(answer)[0].need_from == 1);
}

TEST_CASE("a late or repeated Append cuts nothing off, another epoch's record does (R2)",
          "[replication]") {
  follower f;
  (void)f.machine.step(from_one({3, 5, 3, 0, 100, {record(6, 3), record(7, 3)}}), 0);
  (void)f.machine.step(from_one({3, 5, 3, 0, 100, {record(6, 3)}}), 0);
  CHECK(f.machine.log().last().lsn == 7);
  const auto fence = f.machine.step(from_one({4, 5, 3, 0, 100, {record(8, 4)}}), 0);
  (void)f.machine.step(all_synced(fence), 0);
  CHECK(!f.machine.log().find(6));
  CHECK(!f.machine.log().find(7));
  CHECK(f.machine.log().last().lsn == 8);
}

TEST_CASE("to cut off what is committed is a broken rule and is not done (R2)", "[replication]") {
  follower f;
  (void)f.machine.step(from_one({3, 5, 3, 5, 100, {}}), 0);
  REQUIRE(f.machine.commit_lsn() == 5);
  const auto fence = f.machine.step(from_one({4, 0, 0, 0, 100, {record(6, 4)}}), 0);
  const auto answer = f.machine.step(all_synced(fence), 0);
  CHECK(of<action::broken_rule>(answer).size() == 1);
  CHECK(f.machine.log().last().lsn == 5);
}

TEST_CASE("a member takes over when its promise has passed, and grants nothing meanwhile (R6)",
          "[replication]") {
  follower f;
  const replication_options options;
  CHECK(of<action::compare_and_set>(f.machine.step(event::tick{}, options.promise() - 1)).empty());
  const auto wants = of<action::compare_and_set>(f.machine.step(event::tick{}, options.promise()));
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].compared_revision == 7);
  CHECK(wants[0].value == authority{4, two, {two}, {node_id{1}}});
  const auto acks =
      said<append_ack>(f.machine.step(from_one({3, 5, 3, 0, 200, {}}), options.promise()));
  REQUIRE(acks.size() == 1);
  CHECK_FALSE(acks[0].granted);
}

TEST_CASE("neither a read of the old revision nor a failed compare settles a change (R4)",
          "[replication]") {
  follower f;
  const auto late = replication_options{}.promise();
  REQUIRE(of<action::compare_and_set>(f.machine.step(event::tick{}, late)).size() == 1);
  (void)f.machine.step(event::authority_read{7, {3, one, {one, two}}}, late + 1);
  (void)f.machine.step(event::compare_failed{7}, late + 2);
  const auto acks = said<append_ack>(f.machine.step(from_one({3, 5, 3, 0, 200, {}}), late + 3));
  REQUIRE(acks.size() == 1);
  CHECK_FALSE(acks[0].granted);
  const auto again =
      of<action::compare_and_set>(f.machine.step(event::tick{}, late + 600 * milliseconds));
  REQUIRE(again.size() == 1);
  CHECK(again[0].compared_revision == 7);
}

TEST_CASE("a new primary serves only after its no-op is on every member's disk (R8)",
          "[replication]") {
  primary p;
  CHECK(p.machine.log().last().lsn == 65'537);
  CHECK_FALSE(p.machine.serves());
  CHECK(of<action::serving>(p.ack(65'537, 0, 10)).size() == 1);
  CHECK(p.machine.serves());
}

TEST_CASE("a lease runs from when the message was sent, not from its Ack (R7)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 900 * milliseconds);
  CHECK(p.machine.may_read(999 * milliseconds));
  CHECK_FALSE(p.machine.may_read(1'000 * milliseconds));
}

TEST_CASE(
    "a promise outlasts the grant it stands for while clocks differ by rho, and no longer (R7)",
    "[replication]") {
  const replication_options options;
  // A real second is `ratio` seconds of the clock of whoever has promised.
  const auto overlap = [&](double ratio) {
    const lease_promise promise{0, options.promise()};
    lease_grant grant;
    grant.take(0);
    for (moment real = 0; real <= 2 * options.lease; real += 100)
      if (grant.is_valid(real, options.lease) &&
          promise.has_passed(static_cast<moment>(static_cast<double>(real) * ratio)))
        return true;
    return false;
  };
  CHECK_FALSE(overlap(1));
  CHECK_FALSE(overlap(1 + options.clock_ratio));
  CHECK(overlap(1 + options.clock_ratio + 0.001));
}

TEST_CASE("a copy that hears nothing reads its key twice a second at most, and less where etcd is "
          "slow; one that is not named hardly ever",
          "[replication]") {
  const auto reads_in_10_s = [](std::vector<node_id> learners, bool answered) {
    replica machine{{}, two, {}, 0};
    (void)machine.step(event::authority_read{7, {3, one, {one}, learners}}, 0);
    std::size_t reads = 0;
    for (moment now = 0; now < 10 * seconds; now += 50 * milliseconds) {
      const auto asked = of<action::read_authority>(machine.step(event::tick{}, now)).size();
      reads += asked;
      if (asked != 0 && answered)
        (void)machine.step(event::authority_read{7, {3, one, {one}, learners}}, now);
    }
    return reads;
  };
  CHECK(reads_in_10_s({}, false) == 0);
  CHECK(reads_in_10_s({two.node}, true) >= 15);
  CHECK(reads_in_10_s({two.node}, true) <= 20);
  CHECK(reads_in_10_s({two.node}, false) <= 8);
}

TEST_CASE("a rebuilt copy that hears of its seat when it is primary already is whole (R10, R12)",
          "[replication]") {
  recovered_copy found;
  found.incomplete = true;
  replica machine{{}, two, std::move(found), 0};
  (void)machine.step(event::authority_read{7, {3, one, {one}, {two.node}}}, 0);
  (void)machine.step(event::checkpoint_coming{5}, 0);
  const auto installed = machine.step(event::checkpoint_received{3, {5, 3, 0}}, 0);
  (void)machine.step(all_synced(installed), 0);
  CHECK(machine.incomplete());
  // It was added, and then the other one handed over and left.
  const auto fence = machine.step(event::authority_read{9, {5, two, {two}, {one.node}}}, 0);
  CHECK_FALSE(machine.incomplete());
  const auto no_op = machine.step(all_synced(fence), 0);
  (void)machine.step(all_synced(no_op), 0);
  CHECK(machine.serves());
  const auto answer =
      machine.step(event::received{{{one.node, boot_id{2}}, checkpoint_request{}}}, 0);
  CHECK(of<action::offer_checkpoint>(answer).size() == 1);
}

TEST_CASE("an Ack of another boot counts for nothing (R3)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10, {node_id{2}, boot_id{0}});
  CHECK_FALSE(p.machine.serves());
}

TEST_CASE("a silent member is waited for until its removal is settled (R4, R5)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10);
  const auto logged = p.machine.step(event::client_writes{{{1, ack_level::durable, "x"}}}, 20);
  CHECK(of<action::answer>(p.machine.step(all_synced(logged), 30)).empty());
  const auto wants = of<action::compare_and_set>(p.machine.step(event::tick{}, 2 * seconds));
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].value == authority{4, one, {one}, {node_id{2}}});
  CHECK(of<action::answer>(p.machine.step(event::compare_failed{7}, 2 * seconds)).empty());
  const auto settled = p.machine.step(event::authority_read{8, wants[0].value}, 2 * seconds);
  REQUIRE(of<action::answer>(settled).size() == 1);
  CHECK(of<action::answer>(settled)[0].code == op_code::ok);
}

namespace {

/// A primary with Appends of two records that serves, and two writes of which the first is sent.
struct busy_primary {
  replica machine;
  busy_primary()
      : machine(
            [] {
              replication_options options;
              options.batch_max = 2;
              return options;
            }(),
            one, {}, 0) {
    const auto fence = machine.step(event::authority_read{7, {3, one, {one, two}}}, 0);
    const auto no_op = machine.step(all_synced(fence), 0);
    (void)machine.step(all_synced(no_op), 0);
    (void)machine.step(event::received{{two, append_ack{3, 65'537, 65'537, 0}}}, 0);
    REQUIRE(machine.serves());
    (void)machine.step(all_synced(write(0)), 0);
    CHECK(said<append>(write(1)).empty());
  }
  std::vector<replica_action> write(std::uint64_t token) {
    return machine.step(event::client_writes{{{token, ack_level::durable, "x"}}}, 0);
  }
  std::vector<replica_action> hear(decltype(message::body) body, moment now) {
    return machine.step(event::received{{two, std::move(body)}}, now);
  }
};

} // namespace

TEST_CASE("what is written while an Append is under way leaves with its Ack, all of it",
          "[replication]") {
  busy_primary p;
  for (std::uint64_t token = 2; token < 6; ++token) CHECK(said<append>(p.write(token)).empty());
  const auto then = said<append>(p.hear(append_ack{3, 65'538, 65'537, 0}, 10));
  REQUIRE(then.size() == 3); // five records
  CHECK(then.back().records.back().lsn == 65'543);
  // Nothing while they are under way, and nothing twice.
  CHECK(said<append>(p.write(6)).empty());
  CHECK(said<append>(p.hear(append_ack{3, 65'540, 65'538, 0}, 20)).empty());
  CHECK(said<append>(p.hear(append_ack{3, 65'542, 65'538, 0}, 20)).empty());
  CHECK(said<append>(p.hear(append_ack{3, 65'543, 65'538, 0}, 20)).size() == 1);
}

TEST_CASE("members get the same records together, when all of them have what was sent before",
          "[replication]") {
  constexpr member third{node_id{3}, boot_id{1}};
  replica machine{{}, one, {}, 0};
  const auto write = [&](std::uint64_t token) {
    return machine.step(event::client_writes{{{token, ack_level::durable, "x"}}}, 0);
  };
  const auto ack = [&](member from, lsn_t lsn) {
    return machine.step(event::received{{from, append_ack{3, lsn, lsn, 0}}}, 10);
  };
  const auto fence = machine.step(event::authority_read{7, {3, one, {one, two, third}}}, 0);
  (void)machine.step(all_synced(machine.step(all_synced(fence), 0)), 0);
  (void)ack(two, 65'537);
  (void)ack(third, 65'537);
  REQUIRE(machine.serves());
  CHECK(said<append>(write(1)).size() == 2);
  CHECK(said<append>(write(2)).empty());
  CHECK(said<append>(ack(two, 65'538)).empty()); // the third is busy, and it would wait for it
  CHECK(said<append>(write(3)).empty());
  const auto then = said<append>(ack(third, 65'538));
  REQUIRE(then.size() == 2);
  REQUIRE(then[0].records.size() == 2);
  CHECK(then[0].records == then[1].records);
  CHECK(then[0].records.body_at(0).data() == then[1].records.body_at(0).data());
  SECTION("a member that is silent holds the others up until the next heartbeat") {
    CHECK(said<append>(write(4)).empty());
    CHECK(said<append>(ack(two, 65'540)).empty());
    const auto beat =
        said<append>(machine.step(event::tick{}, replication_options{}.heartbeat + 10));
    REQUIRE(beat.size() == 2);
    CHECK(beat[0].records.size() == 1);
    CHECK(beat[1].records.empty());
    SECTION("and then no more") {
      const auto late = machine.step(event::client_writes{{{5, ack_level::durable, "x"}}},
                                     replication_options{}.resend + 20);
      CHECK(said<append>(late).empty()); // what it was sent has not come back
      const auto go_on =
          said<append>(machine.step(event::received{{two, append_ack{3, 65'541, 65'541, 0}}},
                                    replication_options{}.resend + 30));
      REQUIRE(go_on.size() == 1);
      CHECK(go_on[0].records.size() == 1);
    }
  }
}

TEST_CASE(
    "a lost Append or Ack holds up what gathers behind it until the next heartbeat, no longer",
    "[replication]") {
  const auto beat = replication_options{}.heartbeat;
  busy_primary p;
  const auto heartbeat = said<append>(p.machine.step(event::tick{}, beat));
  REQUIRE(heartbeat.size() == 1);
  REQUIRE(heartbeat[0].previous_lsn == 65'538);
  REQUIRE(heartbeat[0].records.empty());
  SECTION("the Ack was lost: this one proves the same") {
    const auto rest = said<append>(p.hear(append_ack{3, 65'538, 65'537, beat}, beat));
    REQUIRE(rest.size() == 1);
    CHECK(rest[0].previous_lsn == 65'538);
    CHECK(rest[0].records.size() == 1);
  }
  SECTION("the Append was lost: what comes behind it does not fit") {
    const auto again = said<append>(p.hear(append_nack{3, 65'538}, beat));
    REQUIRE(again.size() == 1);
    CHECK(again[0].previous_lsn == 65'537);
    CHECK(again[0].records.size() == 2);
    CHECK(said<append>(p.hear(append_ack{3, 65'539, 65'537, beat}, beat)).empty());
    CHECK(said<append>(p.write(2)).size() == 1);
  }
}

TEST_CASE("a planned hand-over stops reads before it asks etcd (R12)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10);
  REQUIRE(p.machine.may_read(20));
  const auto asked = p.machine.step(event::move_requested{node_id{2}}, 20);
  REQUIRE(of<action::compare_and_set>(asked).size() == 1);
  CHECK(of<action::compare_and_set>(asked)[0].value.primary == two);
  CHECK_FALSE(p.machine.may_read(20));
}

TEST_CASE("a clean stop keeps the seat of the boot that stopped, and no older one (R11)",
          "[replication]") {
  for (const std::uint64_t stopped : {1, 2}) {
    replication_options options;
    options.level = ack_level::replicated;
    replica machine{options, {node_id{2}, boot_id{3}}, {.stopped_boot = boot_id{stopped}}, 0};
    (void)machine.step(event::authority_read{7, {3, two, {two}}}, 0);
    (void)machine.step(event::nodes_seen{}, 0);
    const auto wants = of<action::compare_and_set>(machine.step(event::tick{}, 3 * seconds));
    CHECK(wants.size() == (stopped == 1 ? 1 : 0));
  }
}

namespace {

/// Node 2 in its second life, with LSN 5 of epoch 3 committed, listed under its first.
struct left_over {
  replica machine;
  explicit left_over(bool incomplete = false, bool repaired = false)
      : machine(
            {}, {node_id{2}, boot_id{2}},
            [&] {
              recovered_copy found{.max_epoch = 3};
              found.log.append({record(5, 3)}, 0);
              found.commit_lsn = 5;
              found.incomplete = incomplete;
              found.repaired = repaired;
              return found;
            }(),
            0) {
    (void)machine.step(event::authority_read{7, {3, one, {one, two}}}, 0);
    (void)machine.step(event::nodes_seen{}, 0);
  }
};

} // namespace

TEST_CASE("an accepted loss makes one copy the only member, and versions leap (R11)",
          "[replication]") {
  left_over copy;
  const auto now = 2 * seconds;
  const auto wants = of<action::compare_and_set>(copy.machine.step(event::accept_loss{}, now));
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].value ==
        authority{4, {node_id{2}, boot_id{2}}, {{node_id{2}, boot_id{2}}}, {node_id{1}}, 4});
  const auto won = copy.machine.step(event::authority_read{8, wants[0].value}, now);
  REQUIRE(of<action::loss_accepted>(won).size() == 1);
  (void)copy.machine.step(all_synced(won), now);
  CHECK(copy.machine.log().last().lsn > replication_options{}.loss_leap);
}

TEST_CASE(
    "a loss is not accepted while a listed boot lives, a lease runs, or the copy is not whole "
    "(R11)",
    "[replication]") {
  const auto refused = [](replica& machine, moment now) {
    const auto actions = machine.step(event::accept_loss{}, now);
    return of<action::loss_refused>(actions).size() == 1 &&
           of<action::compare_and_set>(actions).empty();
  };
  left_over lease;
  CHECK(refused(lease.machine, 1 * seconds));
  left_over listed;
  (void)listed.machine.step(event::nodes_seen{{one}}, 0);
  CHECK(refused(listed.machine, 2 * seconds));
  left_over damaged{true};
  CHECK(refused(damaged.machine, 2 * seconds));
}

TEST_CASE("a repaired copy takes up no seat, until a loss was accepted for it (R11)",
          "[replication]") {
  for (const bool repaired : {false, true}) {
    left_over copy{false, repaired};
    const auto claims = of<action::compare_and_set>(copy.machine.step(event::tick{}, 2 * seconds));
    CHECK(claims.size() == (repaired ? 0 : 1));
  }
  left_over copy{false, true};
  const auto wants =
      of<action::compare_and_set>(copy.machine.step(event::accept_loss{}, 2 * seconds));
  REQUIRE(wants.size() == 1);
  CHECK(copy.machine.repaired());
  // The mark goes with the fence, so before anything that the new reign acknowledges.
  const auto won = copy.machine.step(event::authority_read{8, wants[0].value}, 2 * seconds);
  const auto written = of<action::write_wal>(won);
  REQUIRE(written.size() == 2);
  CHECK(std::holds_alternative<wal::complete>(written[0].what));
  CHECK(std::holds_alternative<wal::fence>(written[1].what));
  CHECK_FALSE(copy.machine.repaired());
}

TEST_CASE("a copy that knows of more than was left after an accepted loss is rebuilt (R11)",
          "[replication]") {
  // The last case: what was left has a record of another reign where this copy ends.
  for (const auto& [lsn, epoch] : {std::pair<lsn_t, epoch_t>{4, 3}, {5, 3}, {5, 2}}) {
    left_over copy;
    const bool shared = lsn == 5 && epoch == 3;
    append m{8, lsn, epoch, lsn, 100, {}, 8};
    const auto fence = copy.machine.step(from_one(m), 2 * seconds);
    const auto then = copy.machine.step(all_synced(fence), 2 * seconds);
    CHECK(copy.machine.incomplete() == !shared);
    CHECK(said<append_ack>(then).empty() == !shared);
    CHECK(said<append_nack>(then).empty());
  }
}

TEST_CASE("only nodes that the key names may join (R4)", "[replication]") {
  primary p;
  const member stranger{node_id{7}, boot_id{1}};
  (void)p.ack(65'537, 0, 10);
  CHECK(said<append>(p.machine.step(event::received{{stranger, join{}}}, 20)).empty());
  const auto wants = of<action::compare_and_set>(
      p.machine.step(event::members_wanted{{node_id{1}, node_id{2}, node_id{7}}}, 30));
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].value == authority{4, one, {one, two}, {node_id{7}}});
  const auto fence = p.machine.step(event::authority_read{8, wants[0].value}, 40);
  (void)p.machine.step(all_synced(fence), 40);
  CHECK(said<append>(p.machine.step(event::received{{stranger, join{}}}, 50)).size() == 1);
}

TEST_CASE("a member whose process has ended is dropped at once (R5)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10);
  CHECK(of<action::compare_and_set>(p.machine.step(event::node_gone{node_id{7}}, 20)).empty());
  const auto wants = of<action::compare_and_set>(p.machine.step(event::node_gone{two.node}, 20));
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].value == authority{4, one, {one}, {two.node}});
}

TEST_CASE("who was dropped comes back when it gets on again, not because it had everything (R4)",
          "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10); // granted until 1 s
  const auto wants = of<action::compare_and_set>(p.machine.step(event::node_gone{two.node}, 20));
  REQUIRE(wants.size() == 1);
  auto did = p.machine.step(event::authority_read{8, wants[0].value}, 30);
  did = p.machine.step(all_synced(did), 30);
  CHECK(of<action::compare_and_set>(did).empty());
  CHECK(of<action::compare_and_set>(p.machine.step(event::tick{}, 40)).empty());
  // It was not gone after all.
  const auto back =
      p.machine.step(event::received{{two, append_ack{4, 65'537, 65'537, moment{40}}}}, 50);
  REQUIRE(of<action::compare_and_set>(back).size() == 1);
  CHECK(of<action::compare_and_set>(back)[0].value == authority{5, one, {one, two}, {}});
}

TEST_CASE("what was read back from the log leaves in Appends of as many bytes as one may have",
          "[replication]") {
  replication_options options;
  options.batch_bytes_max = 10;
  options.reads_log = true;
  replica machine{options, one, {}, 0};
  const auto fence = machine.step(event::authority_read{7, {3, one, {one, two}}}, 0);
  const auto no_op = machine.step(all_synced(fence), 0);
  (void)machine.step(all_synced(no_op), 0);
  const log_run records{record(65'538, 3, "123456"), record(65'539, 3, "123456"),
                        record(65'540, 3, "1234"), record(65'541, 3, "123456789012")};
  const auto sent = said<append>(machine.step(event::log_read{node_id{2}, 65'537, 3, records}, 10));
  REQUIRE(sent.size() == 3);
  CHECK(sent[0].previous_lsn == 65'537);
  CHECK(sent[0].records == records.part(0, 1));
  CHECK(sent[1].previous_lsn == 65'538);
  CHECK(sent[1].records == records.part(1, 2));
  CHECK(sent[2].previous_lsn == 65'540);
  CHECK(sent[2].previous_epoch == 3);
  CHECK(sent[2].records == records.part(3, 1));
}

TEST_CASE("how many members a write needs can change while it runs (R3)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10);
  CHECK(p.machine.may_write() == op_code::ok);
  (void)p.machine.step(event::min_isr_wanted{3}, 20);
  CHECK(p.machine.may_write() == op_code::no_replicas);
  const auto refused =
      of<action::answer>(p.machine.step(event::client_writes{{{1, ack_level::durable, "x"}}}, 20));
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].code == op_code::no_replicas);
  (void)p.machine.step(event::min_isr_wanted{2}, 30);
  CHECK(p.machine.may_write() == op_code::ok);
}

TEST_CASE("who is not wanted leaves when all who are have seats (R4)", "[replication]") {
  primary p;
  (void)p.ack(65'537, 0, 10);
  const auto wants =
      of<action::compare_and_set>(p.machine.step(event::members_wanted{{node_id{1}}}, 30));
  REQUIRE(wants.size() == 1);
  CHECK(wants[0].value == authority{4, one, {one}});
}

TEST_CASE("a copy gets no records while a checkpoint is on its way into it, and at once after that "
          "(R10)",
          "[replication]") {
  replica machine{{}, one, {}, 0};
  auto did = machine.step(event::authority_read{7, {3, one, {one}, {node_id{2}}}}, 0);
  for (int i = 0; i < 2; ++i) did = machine.step(all_synced(did), 0);
  moment now = 0;
  const auto appends_in_10_s = [&](lsn_t pins) {
    auto count =
        said<append>(machine.step(event::received{{two, join{0, 0, 0, pins}}}, now)).size();
    for (std::uint64_t i = 0; i < 100; ++i) {
      now += 100 * milliseconds;
      count += said<append>(machine.step(event::client_writes{{{i, ack_level::durable, "x"}}}, now))
                   .size();
      count += said<append>(machine.step(event::tick{}, now)).size();
    }
    return count;
  };
  CHECK(appends_in_10_s(15) == 0);
  CHECK(appends_in_10_s(0) > 10);
}

TEST_CASE(
    "a node that takes a checkpoint has the log kept from its end on, so long and so far (R10)",
    "[replication]") {
  const auto base_after = [](lsn_t pins, moment later, lsn_t pin_max, bool reads_log = false) {
    replication_options options;
    options.pin_max = pin_max;
    options.reads_log = reads_log;
    options.window = 10;
    replica machine{options, one, {}, 0};
    auto did = machine.step(event::authority_read{7, {3, one, {one}, {node_id{2}}}}, 0);
    for (int i = 0; i < 2; ++i) did = machine.step(all_synced(did), 0);
    for (std::uint64_t i = 0; i < 9; ++i) {
      did = machine.step(event::client_writes{{{i, ack_level::durable, "x"}}}, 0);
      (void)machine.step(all_synced(did), 0);
    }
    REQUIRE(machine.commit_lsn() == 20);
    (void)machine.step(event::received{{two, join{0, 0, 0, pins}}}, 0);
    (void)machine.step(event::checkpoint_published{20}, later);
    return machine.log().base().lsn;
  };
  CHECK(base_after(15, 1 * seconds, 100) == 15);
  CHECK(base_after(0, 1 * seconds, 100) == 20);
  CHECK(base_after(15, 6 * seconds, 100) == 20);
  CHECK(base_after(15, 1 * seconds, 4) == 20);
  // What can be read back takes no memory meanwhile (I12).
  CHECK(base_after(15, 1 * seconds, 100, true) == 20);
}
