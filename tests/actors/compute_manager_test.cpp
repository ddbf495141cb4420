#include "actors/compute_manager.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/judge_backend.hpp"
#include "tests/actors/compute_fixture.hpp"

#include <algorithm>
#include <deque>
#include <future>
#include <thread>

using namespace warp;
using namespace warp::testing;
using actors::compute_answer;
using actors::compute_mode;
using actors::compute_rank;
using op = gpu::operation;
using gpu::outcome;

namespace {

using namespace std::chrono_literals;
using futures = std::vector<std::future<compute_answer>>;

/// A job, the answer, and the same batch computed by the judge: within the tolerances?
struct judged_job {
  explicit judged_job(op kind, std::uint64_t seed)
      : asked(std::make_shared<gpu::sample_batch>(kind, 3'000, seed)), right(kind, 3'000, seed) {}

  void check() {
    gpu::judge_backend judge;
    const auto done = std::visit([&](const auto& b) { return judge.run(b); }, right.batch());
    REQUIRE(done == outcome::done);
    const auto difference =
        std::visit([&]<class Batch>(
                       const Batch& b) { return gpu::differs(std::get<Batch>(asked->batch()), b); },
                   right.batch());
    INFO(difference.value_or("the same"));
    CHECK(!difference);
  }

  std::shared_ptr<gpu::sample_batch> asked;
  gpu::sample_batch right;
};

/// Submits, computes, and checks one job of each kind; returns who answered the last one.
compute_answer compute_all(compute_fixture& f) {
  compute_answer last;
  for (std::size_t k = 0; k < gpu::operations; ++k) {
    judged_job j{static_cast<op>(k), k};
    auto answered = f.manager->submit(
        {.batch = j.asked->batch(), .memory = {}, .rank = compute_rank::interactive});
    f.turn();
    REQUIRE(is_ready(answered));
    last = answered.get();
    CHECK(last.status.ok());
    j.check();
  }
  return last;
}

/// A worker on a thread of its own.
class worker {
public:
  explicit worker(compute_fixture& f)
      : thread_([&m = *f.manager](const std::stop_token& stop) {
          while (!stop.stop_requested()) m.turn(0, 20ms);
        }) {}

private:
  std::jthread thread_;
};

} // namespace

TEST_CASE("without a device the CPU answers every job, and the report says why", "[actors][gpu]") {
  compute_fixture f;
  CHECK(f.report().why == "devices are being looked for");
  CHECK_FALSE(compute_all(f).by_device);
  const auto r = f.report();
  CHECK(r.backend.find("CPU") == 0);
  CHECK(r.why.find("no device") != std::string::npos);
  CHECK(r.jobs == gpu::operations);
  CHECK(r.batches == gpu::operations);
  CHECK(r.transfer_bytes == 0);
  CHECK(r.opened_s > 0);
  CHECK(r.operations[0].crossover == 0);
  CHECK(r.ranks[0].answered == gpu::operations);
}

TEST_CASE("a device answers what is worth it, and transfers are counted", "[actors][gpu]") {
  compute_fixture f{1};
  CHECK(compute_all(f).by_device);
  const auto r = f.report();
  CHECK(r.backend.find("fake") == 0);
  CHECK(r.why.empty());
  CHECK(r.calibration.find("an earlier calibration") != std::string::npos);
  CHECK(r.transfer_bytes > 0);
  REQUIRE(r.devices.size() == 1);
  CHECK(r.devices[0].batches == gpu::operations);
  CHECK(r.operations[0].crossover == 1);
}

TEST_CASE("with mode cpu no device is asked, with mode off nobody is", "[actors][gpu]") {
  compute_fixture f{1, {.mode = compute_mode::cpu}};
  CHECK_FALSE(compute_all(f).by_device);
  CHECK(f.report().why.find("gpu.mode is cpu") != std::string::npos);
  f.open({.mode = compute_mode::off});
  CHECK(f.manager->submit(job_of(op::heat)).get().status == op_code::not_supported);
  CHECK(f.manager->bench(1'000).status() == op_code::not_supported);
  CHECK(f.manager->calibrate().status() == op_code::not_supported);
  CHECK(f.report().why == "gpu.mode is off");
}

TEST_CASE("background jobs of one kind share a batch, by number or after the window",
          "[actors][gpu]") {
  compute_fixture f{0, {.window = 10ms, .batch_max = 4}};
  std::deque<judged_job> jobs; // they do not move
  futures answers;
  const auto submit = [&](std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; ++i) {
      jobs.emplace_back(op::entropy, jobs.size());
      answers.push_back(f.manager->submit({.batch = jobs.back().asked->batch(), .memory = {}}));
    }
  };
  const auto answered = [&] { return std::ranges::count_if(answers, is_ready); };
  submit(3);
  f.turn();
  CHECK(answered() == 0);
  submit(2); // four are a batch, and one waits
  f.turn();
  CHECK(answered() == 4);
  CHECK(f.report().batches == 1);
  f.turn();
  CHECK(answered() == 4);
  f.pass(0.011);
  f.turn();
  CHECK(answered() == 5);
  CHECK(f.report().batches == 2);
  CHECK(f.report().operations[static_cast<std::size_t>(op::entropy)].jobs == 5);
  for (auto& a : answers) CHECK(a.get().status.ok());
  for (auto& j : jobs) j.check();
}

TEST_CASE("a full queue refuses at once, background jobs first, and loses none that it took",
          "[actors][gpu]") {
  compute_fixture f{0, {.queue_max = 8}};
  futures taken;
  for (int i = 0; i < 6; ++i)
    taken.push_back(f.manager->submit(job_of(op::heat, 100, compute_rank::background)));
  auto refused = f.manager->submit(job_of(op::heat, 100, compute_rank::background));
  REQUIRE(is_ready(refused));
  CHECK(refused.get().status == op_code::overloaded);
  for (int i = 0; i < 2; ++i) taken.push_back(f.manager->submit(job_of(op::heat, 100)));
  refused = f.manager->submit(job_of(op::heat, 100));
  REQUIRE(is_ready(refused));
  CHECK(refused.get().status == op_code::overloaded);
  CHECK(f.report().refused == 2);
  CHECK(f.report().ranks[1].queued == 6);
  f.pass(1);
  f.turn();
  f.turn();
  for (auto& t : taken) {
    REQUIRE(is_ready(t));
    CHECK(t.get().status.ok());
  }
  CHECK(f.report().ranks[0].queued + f.report().ranks[1].queued == 0);
  CHECK(f.report().queued_bytes == 0);
}

TEST_CASE("jobs that wait are bounded in bytes too, but one is always taken", "[actors][gpu]") {
  compute_fixture f{0, {.queue_bytes_max = 1'000}};
  auto large = f.manager->submit(job_of(op::column, 100'000));
  CHECK_FALSE(is_ready(large));
  CHECK(f.manager->submit(job_of(op::column, 10)).get().status == op_code::overloaded);
  f.turn();
  CHECK(large.get().status.ok());
  auto small = f.manager->submit(job_of(op::column, 10));
  f.turn();
  CHECK(small.get().status.ok());
}

TEST_CASE("interactive jobs go first, but a background job waits for a second at most",
          "[actors][gpu]") {
  compute_fixture f;
  auto background = f.manager->submit(job_of(op::heat, 100, compute_rank::background));
  f.pass(0.5);
  auto interactive = f.manager->submit(job_of(op::column, 100));
  f.turn();
  CHECK(is_ready(interactive));
  CHECK_FALSE(is_ready(background));
  f.pass(0.5);
  interactive = f.manager->submit(job_of(op::column, 100));
  f.turn();
  CHECK(is_ready(background));
  CHECK_FALSE(is_ready(interactive));
  f.turn();
  CHECK(is_ready(interactive));
}

TEST_CASE("a device that fails has no memory or is lost in the middle costs no answer",
          "[actors][gpu]") {
  for (const auto what : {outcome::failed, outcome::out_of_memory, outcome::lost}) {
    compute_fixture f{1};
    f.fakes.scripts[0]->next = {what};
    compute_all(f);
    const auto r = f.report();
    CHECK(r.fallbacks == 1);
    CHECK(r.failed == 0);
    const auto& d = r.devices[0];
    CHECK(d.failed + d.out_of_memory + d.lost == 1);
    if (what != outcome::lost) {
      CHECK(d.breaker == "closed");
      continue;
    }
    CHECK(d.breaker == "open");
    CHECK(r.breakers_open == gpu::operations - 1);
    CHECK(r.backend.find("CPU") == 0);
    CHECK(r.why.find("left alone") != std::string::npos);
    f.pass(31);
    CHECK(compute_all(f).by_device);
    CHECK(f.report().devices[0].breaker == "closed");
  }
}

TEST_CASE("a device that answers wrongly is found out, and the right answer is given",
          "[actors][gpu]") {
  compute_fixture f{1, {.check_one_in = 1}};
  f.fakes.scripts[0]->wrong = true;
  CHECK_FALSE(compute_all(f).by_device);
  const auto r = f.report();
  CHECK(r.mismatched == 1);
  CHECK(r.checked == 1);
  CHECK(r.devices[0].breaker == "open");
  CHECK(r.devices[0].last_trouble.find("wrong answer") != std::string::npos);
}

TEST_CASE("a slow device holds up nobody who submits, and the queue stays bounded",
          "[actors][gpu]") {
  compute_fixture f{1, {.queue_max = 4}};
  std::promise<void> begun, go_on;
  f.fakes.scripts[0]->during = [&, gone = go_on.get_future().share(), first = true]() mutable {
    if (std::exchange(first, false)) begun.set_value();
    gone.wait();
  };
  futures taken;
  taken.push_back(f.manager->submit(job_of(op::heat)));
  worker w{f};
  begun.get_future().wait();
  for (int i = 0; i < 4; ++i) taken.push_back(f.manager->submit(job_of(op::heat)));
  auto refused = f.manager->submit(job_of(op::heat));
  CHECK(refused.get().status == op_code::overloaded);
  CHECK_FALSE(is_ready(taken[0]));
  CHECK(f.report().ranks[0].queued == 4);
  go_on.set_value();
  for (auto& t : taken) CHECK(t.get().status.ok());
}

TEST_CASE("a job whose sizes do not fit fails alone", "[actors][gpu]") {
  compute_fixture f;
  auto broken = job_of(op::entropy);
  std::get<gpu::entropy_batch>(broken.batch).evenness = {};
  auto good = f.manager->submit(job_of(op::entropy));
  auto bad = f.manager->submit(std::move(broken));
  auto better = f.manager->submit(job_of(op::entropy));
  f.turn();
  CHECK(good.get().status.ok());
  CHECK(bad.get().status == op_code::invalid_argument);
  CHECK(better.get().status.ok());
  CHECK(f.report().failed == 1);
  CHECK(f.report().batches == 1);
}

TEST_CASE("the end answers what waits, and what comes later", "[actors][gpu]") {
  compute_fixture f;
  auto waiting = f.manager->submit(job_of(op::heat));
  f.manager->close();
  CHECK(waiting.get().status == op_code::shutting_down);
  CHECK(f.manager->submit(job_of(op::heat)).get().status == op_code::shutting_down);
  CHECK(f.manager->bench(1'000).status() == op_code::shutting_down);
  f.turn();
}

TEST_CASE("a search for devices that fails is answered, and tried again", "[actors][gpu]") {
  compute_fixture f;
  bool broken = true;
  f.open({.devices = [&]() -> gpu::device_list {
    if (broken) throw std::bad_alloc{};
    return {};
  }});
  auto job = f.manager->submit(job_of(op::heat));
  f.turn();
  CHECK(job.get().status == op_code::unavailable);
  CHECK(f.report().why.find("could not be set up") != std::string::npos);
  broken = false;
  job = f.manager->submit(job_of(op::heat));
  f.turn();
  CHECK(job.get().status.ok());
}

TEST_CASE("a calibration is measured once, kept, and read by the next start", "[actors][gpu]") {
  compute_fixture f{1};
  const auto path = "data/" + std::string{actors::compute_calibration_file};
  REQUIRE(f.files.remove(path).ok());
  actors::compute_settings settings{.calibrate_up_to = 1 << 11, .devices = f.fakes.finder()};
  f.open(settings);
  f.turn(); // the clock stands still: both sides take no time, and the device is as good
  CHECK(f.report().calibration.find("there was no calibration") != std::string::npos);
  const auto crossover = f.report().operations[0].crossover;
  CHECK(crossover > 0);
  f.open(settings);
  f.turn();
  CHECK(f.report().calibration.find("an earlier calibration") != std::string::npos);
  CHECK(f.report().operations[0].crossover == crossover);
  // Now each batch of the device takes a second.
  f.fakes.scripts[0]->clock = &f.now_s;
  f.fakes.scripts[0]->cost_s = 1;
  {
    worker w{f};
    const auto measured = f.manager->calibrate();
    REQUIRE(measured.ok());
    CHECK(measured->measured);
    CHECK(measured->saved == path);
  }
  CHECK(f.report().operations[0].crossover == 0);
  CHECK(f.report().why.find("the CPU was faster") != std::string::npos);
  f.open(settings);
  f.turn();
  CHECK(f.report().operations[0].crossover == 0);
  // A file that was damaged is measured anew.
  REQUIRE(storage::replace_file(f.files, "data", actors::compute_calibration_file, "no").ok());
  f.open(settings);
  f.turn();
  CHECK(f.report().calibration.find("could not be read") != std::string::npos);
}

TEST_CASE("without a device a calibration says that there is nothing to measure", "[actors][gpu]") {
  compute_fixture f;
  worker w{f};
  const auto c = f.manager->calibrate();
  REQUIRE(c.ok());
  CHECK_FALSE(c->measured);
  CHECK(c->said.find("no device") != std::string::npos);
  CHECK(c->saved.empty());
}

TEST_CASE("a bench runs each operation on both sides, beside jobs", "[actors][gpu]") {
  compute_fixture f{1};
  f.fakes.scripts[0]->clock = &f.now_s;
  f.fakes.scripts[0]->cost_s = 0.5;
  worker w{f};
  auto job = f.manager->submit(job_of(op::heat));
  const auto timings = f.manager->bench(2'000);
  REQUIRE(timings.ok());
  REQUIRE(timings->size() == gpu::operations);
  for (const auto& t : *timings) {
    CHECK(t.work > 0);
    CHECK(t.cpu_s == 0);
    CHECK(t.device_s >= 0.49);
  }
  CHECK(job.get().status.ok());
  CHECK(f.manager->bench(actors::compute_manager::bench_work_max + 1).status() ==
        op_code::invalid_argument);
}
