// The kill loop: a real warpd under random load from several client processes, killed with SIGKILL
// at random moments, over and over: under load, while it recovers, while checkpoints are written,
// after it was stopped (SIGSTOP) for a while. Every few rounds a new data folder and other options;
// once, where the machine lets it mount one, a full file system. The oracle lives in this process,
// outside of server and clients: kill_oracle.hpp says what it demands.
//
//     kill_loop --warpd PATH [--resp] [--rounds N | --minutes M] [--seed S] [--verbose]
//
// With --resp the load comes from clients of the RESP port.
//
// The seed decides all options and moments; what the scheduler does it cannot repeat.

#include "cluster/client.hpp"
#include "tests/integration/kill_client.hpp"
#include "tests/integration/kill_oracle.hpp"
#include "tests/integration/resp_link.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <random>
#include <sched.h>
#include <string>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace warp;
using namespace warp::testing;
using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int writers = 4;
constexpr int rounds_per_folder = 8;

[[noreturn]] void fail(std::string what) {
  throw kill_failure{std::move(what)};
}

struct loop_options {
  std::string program, warpd;
  int rounds = 30;
  int minutes = 0; ///< above 0: instead of rounds
  std::uint64_t seed = 0;
  bool verbose = false;
  bool resp = false; ///< the load comes from clients of the RESP port
};

// -- what a round is
// --------------------------------------------------------------------------------------------------------

using environment = std::map<std::string, std::string>;

template <class T>
const T& one_of(std::mt19937_64& random, const std::vector<T>& choices) {
  return choices[random() % choices.size()];
}

/// What may change from one start to the next.
environment draw_options(std::mt19937_64& random) {
  return {
      {"WARP_STORAGE_WAL_STREAMS", one_of<std::string>(random, {"1", "2", "4"})},
      {"WARP_STORAGE_SEGMENT_SIZE", one_of<std::string>(random, {"256KiB", "1MiB", "4MiB"})},
      {"WARP_STORAGE_WAL_MAX", one_of<std::string>(random, {"16MiB", "64MiB"})},
      {"WARP_STORAGE_CHECKPOINT_RECORDS", one_of<std::string>(random, {"1000", "2000", "20000"})},
      {"WARP_STORAGE_CHECKPOINT_INTERVAL", one_of<std::string>(random, {"1s", "5min"})},
      {"WARP_STORAGE_CHECKPOINTS_KEPT", one_of<std::string>(random, {"1", "3"})},
      {"WARP_STORAGE_DIRECT_IO", one_of<std::string>(random, {"auto", "auto", "off"})},
      {"WARP_STORAGE_HUGE_PAGES", one_of<std::string>(random, {"auto", "never"})},
      {"WARP_STORAGE_FLUSH_INTERVAL", one_of<std::string>(random, {"5ms", "50ms"})},
      {"WARP_STORAGE_LOG_BUFFER", one_of<std::string>(random, {"1MiB", "64MiB"})},
      {"WARP_STORAGE_RECOVERY_THREADS", one_of<std::string>(random, {"1", "2"})}};
}

struct round_plan {
  environment options;
  milliseconds load{0};         ///< before the kill
  milliseconds pause{0};        ///< the server stands still for so long in between; 0: it does not
  int kills_in_recovery = 0;    ///< kills of the next start, before it is ready
  bool checkpoints = false;     ///< one after the other by request
  bool clients_survive = false; ///< the clients go on over a first kill and a restart
  bool large_values = false, short_lives = false, transactions = false;

  explicit round_plan(std::mt19937_64& random) : options(draw_options(random)) {
    load = milliseconds{50 + random() % 600};
    if (random() % 6 == 0) pause = milliseconds{100 + random() % 700};
    if (random() % 3 == 0) kills_in_recovery = 1 + static_cast<int>(random() % 3);
    checkpoints = random() % 3 == 0;
    clients_survive = random() % 6 == 0;
    large_values = random() % 3 != 0;
    short_lives = random() % 2 == 0;
    transactions = random() % 4 != 0;
  }

  [[nodiscard]] std::string text() const {
    std::string all = "load " + std::to_string(load.count()) + " ms";
    if (pause.count() != 0) all += ", a pause of " + std::to_string(pause.count()) + " ms";
    if (kills_in_recovery != 0)
      all += ", " + std::to_string(kills_in_recovery) + " kills in recovery";
    if (checkpoints) all += ", checkpoints by request";
    if (clients_survive) all += ", a restart under the clients";
    for (const auto& [name, value] : options) all += " " + name.substr(13) + "=" + value;
    return all;
  }
};

// -- the processes
// --------------------------------------------------------------------------------------------------------

/// A client process, and the thread that hears what it reports.
class client_process {
public:
  client_process(const loop_options& loop, const kill_client_options& options,
                 kill_oracle& oracle) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe: " + std::string{std::strerror(errno)});
    std::vector<std::string> arguments{loop.program,
                                       "--client",
                                       options.address,
                                       std::to_string(options.writer),
                                       std::to_string(options.seed),
                                       std::to_string(options.number_base),
                                       std::to_string(options.deadline_ms),
                                       options.large_values ? "1" : "0",
                                       options.short_lives ? "1" : "0",
                                       options.transactions ? "1" : "0",
                                       options.resp ? "1" : "0"};
    std::vector<char*> argv;
    for (auto& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) { // only async-signal-safe calls here
      dup2(ends[1], STDOUT_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(ends[1]);
    if (pid_ < 0) fail("fork: " + std::string{std::strerror(errno)});
    reader_ = std::thread{[this, from = ends[0], &oracle] { hear(from, oracle); }};
  }
  ~client_process() {
    ::kill(pid_, SIGKILL);
    reader_.join();
    waitpid(pid_, nullptr, 0);
  }
  client_process(const client_process&) = delete;
  client_process& operator=(const client_process&) = delete;

  /// Has it sent anything?
  [[nodiscard]] bool at_work() const { return at_work_; }

private:
  void hear(int from, kill_oracle& oracle) {
    std::string pending;
    char bytes[64 * 1024];
    ssize_t n = 0;
    while ((n = read(from, bytes, sizeof bytes)) > 0) {
      at_work_ = true;
      pending.append(bytes, static_cast<std::size_t>(n));
      std::size_t begin = 0;
      for (auto end = pending.find('\n'); end != std::string::npos;
           begin = end + 1, end = pending.find('\n', begin))
        oracle.hear(std::string_view{pending}.substr(begin, end - begin));
      pending.erase(0, begin); // a line that a kill cut short was not sent
    }
    close(from);
  }

  pid_t pid_ = -1;
  std::atomic<bool> at_work_{false};
  std::thread reader_;
};

/// A port that the server keeps over restarts, so that clients find it again: below those that the
/// kernel gives to whoever asks for any. Tests that run at the same time hold theirs by a socket
/// that bears the number in its name.
class lasting_port {
public:
  lasting_port() {
    std::mt19937 random{std::random_device{}()};
    for (int tries = 0; tries < 10'000 && held_ < 0; ++tries) {
      number_ = static_cast<int>(10'000 + random() % 22'000);
      held_ = hold();
    }
    if (held_ < 0) fail("no free port");
  }
  ~lasting_port() { close(held_); }
  lasting_port(const lasting_port&) = delete;
  lasting_port& operator=(const lasting_port&) = delete;
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(number_); }

private:
  [[nodiscard]] int hold() const {
    const int held = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const auto text = "warpengine test port " + std::to_string(number_);
    std::memcpy(name.sun_path + 1, text.data(), text.size());
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
    const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(number_));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool is_free = bind(held, reinterpret_cast<sockaddr*>(&name), size) == 0 &&
                         bind(s, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0;
    close(s);
    if (is_free) return held;
    close(held);
    return -1;
  }

  int number_ = 0, held_ = -1;
};

std::unique_ptr<client> connect(const server_process& server,
                                milliseconds deadline = milliseconds{10'000}) {
  auto db = client::connect({.addresses = {server.rpc_address()},
                             .deadline = deadline,
                             .connect_deadline = std::chrono::seconds{20}});
  if (!db) fail("cannot connect: " + db.status().to_string());
  return std::move(*db);
}

// -- the loop
// ----------------------------------------------------------------------------------------------------------

class kill_loop {
public:
  explicit kill_loop(loop_options options) : options_(std::move(options)), random_(options_.seed) {}

  void run() {
    const auto end = steady::now() + std::chrono::minutes{options_.minutes};
    const auto more = [&](int round) {
      return options_.minutes > 0 ? steady::now() < end : round < options_.rounds;
    };
    int round = 0;
    while (more(round)) {
      folder_.emplace();
      shards_ = one_of<std::string>(random_, {"1", "4", "16", "64"});
      oracle_.begin_life();
      killed_at_ = steady::now();
      announced_.clear();
      for (int n = 0; n < rounds_per_folder && more(round); ++n, ++round) one_round(round);
      // The last start is a clean one, and a clean stop.
      const auto server = start({}, round);
      check(*server, round);
      if (!server->stop()) fail("warpd did not stop cleanly:\n" + server->log());
    }
    rounds_done_ = round;
  }

  [[nodiscard]] std::string summary() const {
    char text[1'024];
    std::snprintf(text, sizeof text,
                  "%d rounds, %d kills, %d of them in recovery: %lu writes sent, %lu acknowledged; "
                  "no write at level sync lost, nothing torn; %lu asynchronous writes lost, the "
                  "oldest acknowledged %.1f ms before its kill (100 ms by design); longest restart "
                  "%.0f ms",
                  rounds_done_, kills_, kills_in_recovery_,
                  static_cast<unsigned long>(oracle_.sent()),
                  static_cast<unsigned long>(oracle_.acknowledged()),
                  static_cast<unsigned long>(oracle_.lost_async()), oracle_.oldest_lost_ms(),
                  longest_start_ms_);
    return text;
  }

private:
  environment environment_for(environment options) const {
    options["WARP_STORAGE_FOLDER"] = *folder_ / "data";
    options["WARP_STORAGE_SHARDS"] = shards_;
    if (shards_ == "1") options.erase("WARP_STORAGE_WAL_STREAMS"); // at most one per shard
    options["WARP_RPC_LISTEN"] = port_.address();
    options["WARP_RESP_LISTEN"] = resp_port_.address();
    options["WARP_HTTP_LISTEN"] = "127.0.0.1:0";
    return options;
  }

  std::unique_ptr<server_process> start(const environment& options, int round) {
    const auto before = steady::now();
    auto server = std::make_unique<server_process>(options_.warpd, std::vector<std::string>{},
                                                   environment_for(options));
    if (!server->wait_ready(std::chrono::seconds{60}))
      fail("round " + std::to_string(round) + ": warpd did not start:\n" + server->log());
    longest_start_ms_ =
        std::max(longest_start_ms_,
                 std::chrono::duration<double, std::milli>(steady::now() - before).count());
    return server;
  }

  void check(const server_process& server, int round) {
    const auto db = connect(server);
    std::optional<resp_link> link;
    if (options_.resp) {
      link.emplace("127.0.0.1:" + std::to_string(server.resp_port()));
      oracle_.read_fields_with([&](const std::string& hash, const std::string& field) {
        auto answer = link->ask({"HGET", hash, field});
        if (answer == "$-1") return client_reply{.status = op_status(op_code::not_found, "")};
        if (!answer.starts_with("$")) fail("HGET " + hash + " " + field + ": " + answer);
        return client_reply{.value = answer.substr(1)};
      });
    }
    try {
      oracle_.check(*db, announced_, killed_at_, crashes_);
    } catch (const kill_failure& f) {
      fail("round " + std::to_string(round) + ": " + f.what + "\n" + server.log());
    }
    crashes_ = 0;
    announced_.clear();
  }

  void kill(server_process& server) {
    killed_at_ = steady::now();
    server.kill();
    ++kills_;
    ++crashes_;
  }

  void one_round(int round) {
    const round_plan plan{random_};
    const auto client_seed = random_();
    std::vector<milliseconds> recovery_kills;
    for (int i = 0; i < plan.kills_in_recovery; ++i) recovery_kills.emplace_back(random_() % 60);
    if (options_.verbose) std::printf("round %d: %s\n", round + 1, plan.text().c_str());
    std::fflush(stdout);

    auto server = start(plan.options, round);
    check(*server, round);
    {
      std::vector<std::unique_ptr<client_process>> clients;
      for (int w = 0; w < writers; ++w)
        clients.push_back(std::make_unique<client_process>(
            options_,
            kill_client_options{.address =
                                    options_.resp ? resp_port_.address() : server->rpc_address(),
                                .writer = w,
                                .seed = client_seed + static_cast<std::uint64_t>(w),
                                .number_base = (static_cast<std::uint64_t>(round) + 1) << 32,
                                .deadline_ms = plan.pause.count() != 0 ? 300 : 3'000,
                                .large_values = plan.large_values,
                                .short_lives = plan.short_lives,
                                .transactions = plan.transactions,
                                .resp = options_.resp},
            oracle_));
      const auto deadline = steady::now() + std::chrono::seconds{20};
      while (!std::all_of(clients.begin(), clients.end(), [](auto& c) { return c->at_work(); })) {
        if (steady::now() > deadline) fail("the clients do not begin:\n" + server->log());
        std::this_thread::sleep_for(milliseconds{2}); // a process says nothing when it begins
      }
      load_and_kill(plan, *server);
      if (plan.clients_survive) {
        announced_.clear(); // of the log before the crash; what follows goes on above it
        server = start(plan.options, round);
        load_and_kill(plan, *server);
      }
    } // the clients are gone, and all that they said was heard
    for (const auto after : recovery_kills) {
      server_process next{options_.warpd, {}, environment_for(plan.options)};
      std::this_thread::sleep_for(after); // the random moment is the subject
      const auto loaded_killed_at = killed_at_;
      kill(next);
      --crashes_; // nobody wrote
      killed_at_ = loaded_killed_at;
      ++kills_in_recovery_;
    }
  }

  /// The random time before a kill: waiting is the test's subject, not for something to happen.
  void load_and_kill(const round_plan& plan, server_process& server) {
    std::atomic<bool> stop{false};
    // Hears what the server announces as durable, until it is gone.
    const auto observing = connect(server, milliseconds{300});
    std::thread observer([&] {
      while (!stop) {
        const auto shards = observing->admin().shards();
        if (shards) {
          announced_.resize(shards->size());
          for (const auto& s : *shards) announced_[s.shard.value] = s.durable_lsn;
        }
        std::this_thread::sleep_for(milliseconds{20});
      }
    });
    std::thread saver([&] {
      if (!plan.checkpoints) return;
      while (!stop) static_cast<void>(observing->admin().checkpoint({}, milliseconds{500}));
    });
    std::this_thread::sleep_for(plan.load / 2);
    if (plan.pause.count() != 0) {
      ::kill(server.pid(), SIGSTOP);
      std::this_thread::sleep_for(plan.pause);
      ::kill(server.pid(), SIGCONT);
    }
    std::this_thread::sleep_for(plan.load / 2);
    kill(server); // in the middle of whatever it does
    stop = true;
    observer.join();
    saver.join();
  }

  const loop_options options_;
  std::mt19937_64 random_;
  const lasting_port port_, resp_port_;
  std::optional<temp_folder> folder_;
  std::string shards_;
  kill_oracle oracle_;
  std::vector<lsn_t> announced_;
  steady::time_point killed_at_;
  int crashes_ = 0; ///< since the last check
  int kills_ = 0, kills_in_recovery_ = 0, rounds_done_ = 0;
  double longest_start_ms_ = 0;
};

// -- a full file system
// --------------------------------------------------------------------------------------------------------

/// A small file system of our own, in a mount namespace of our own.
class small_file_system {
public:
  explicit small_file_system(const std::string& path) : path_(path) {
    if (mount("tmpfs", path.c_str(), "tmpfs", 0, "size=64m") != 0)
      reason_ = std::string{"cannot mount a small file system: "} + std::strerror(errno);
  }
  ~small_file_system() {
    if (reason_.empty()) umount2(path_.c_str(), MNT_DETACH);
  }
  small_file_system(const small_file_system&) = delete;
  small_file_system& operator=(const small_file_system&) = delete;
  [[nodiscard]] const std::string& reason() const { return reason_; }

private:
  std::string path_, reason_;
};

/// Before any thread is started: from now on mounts are this process's own.
std::string leave_mount_namespace() {
  if (geteuid() != 0) return "only root may mount a small file system";
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return std::string{"no mount namespace of its own: "} + std::strerror(errno);
  return {};
}

void fill_up(const std::string& path) {
  std::ofstream filler{path, std::ios::binary};
  const std::string block(64 * 1024, 'f');
  while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
  }
}

/// Puts at level sync until one is answered as `wanted` says; what was acknowledged on the way is
/// in `model`.
client_reply put_until(client& db, std::map<std::string, std::string>& model, std::uint64_t& number,
                       bool wanted_ok) {
  const auto deadline = steady::now() + std::chrono::seconds{30};
  for (;;) {
    const auto key = "k" + std::to_string(number % 200);
    const auto value = make_kill_value(key, ++number, 8'000, 'x');
    const auto reply = db.put(key, value, {.level = durability::sync});
    if (reply.ok())
      model[key] = value;
    else if (model.contains(key) && reply.code() == op_code::outcome_unknown)
      model.erase(key); // either value is right
    if (reply.ok() == wanted_ok) return reply;
    if (steady::now() > deadline)
      fail(std::string{"for 30 s writes were "} +
           (wanted_ok ? "refused: " + reply.status.to_string() : "accepted by a full disk"));
  }
}

void full_file_system(const loop_options& options) {
  temp_folder folder;
  const small_file_system mounted{folder.path()};
  if (!mounted.reason().empty()) {
    std::printf("full file system: skipped: %s\n", mounted.reason().c_str());
    return;
  }
  const environment variables{
      {"WARP_STORAGE_FOLDER", folder / "data"},    {"WARP_STORAGE_SHARDS", "4"},
      {"WARP_STORAGE_SEGMENT_SIZE", "1MiB"},       {"WARP_STORAGE_WAL_MAX", "24MiB"},
      {"WARP_STORAGE_CHECKPOINT_RECORDS", "1000"}, {"WARP_RPC_LISTEN", "127.0.0.1:0"},
      {"WARP_RESP_LISTEN", "127.0.0.1:0"},         {"WARP_HTTP_LISTEN", "127.0.0.1:0"}};
  std::map<std::string, std::string> model;
  std::uint64_t number = 0, refusals = 0;
  const auto check = [&](client& db) {
    for (const auto& [key, value] : model)
      if (const auto reply = db.get(key); !reply.ok() || reply.value != value)
        fail("full file system: " + key + " is not what was acknowledged: " +
             (reply.ok() ? reply.value.substr(0, 40) : reply.status.to_string()));
  };
  for (int turn = 0; turn < 3; ++turn) {
    server_process server{options.warpd, {}, variables};
    if (!server.wait_ready(std::chrono::seconds{60}))
      fail("full file system: warpd did not start:\n" + server.log());
    const auto db = connect(server);
    check(*db);
    for (int i = 0; i < 200; ++i) static_cast<void>(put_until(*db, model, number, true));
    fill_up(folder / "filler");
    const auto refused = put_until(*db, model, number, false);
    if (refused.code() != op_code::no_space && refused.code() != op_code::outcome_unknown &&
        refused.code() != op_code::timed_out)
      fail("full file system: refused with " + refused.status.to_string());
    // The first one may have been under way; from then on the answer is clear.
    const auto clear = db->put("refused", "x", {.level = durability::sync});
    if (clear.code() != op_code::no_space)
      fail("full file system: a write into it is answered " + clear.status.to_string());
    ++refusals;
    check(*db);
    if (turn == 1) server.kill(); // full while it dies, and while it starts
    if (turn == 1) {
      server_process starved{options.warpd, {}, variables};
      if (starved.wait_ready(std::chrono::seconds{20})) check(*connect(starved));
    }
    std::filesystem::remove(folder / "filler");
    if (turn == 1) continue;
    static_cast<void>(put_until(*db, model, number, true)); // by itself
    server.kill();
  }
  server_process server{options.warpd, {}, variables};
  if (!server.wait_ready(std::chrono::seconds{60}))
    fail("full file system: warpd did not start:\n" + server.log());
  check(*connect(server));
  if (!server.stop()) fail("full file system: warpd did not stop cleanly:\n" + server.log());
  std::printf("full file system: filled %lu times, writes refused and accepted again, %lu writes, "
              "3 kills, nothing acknowledged lost\n",
              static_cast<unsigned long>(refusals), static_cast<unsigned long>(number));
}

int usage(const char* argument) {
  std::fprintf(stderr,
               "kill_loop: unknown argument '%s'; usage: kill_loop --warpd PATH "
               "[--resp] [--rounds N | --minutes M] [--seed S] [--verbose]\n",
               argument);
  return 2;
}

} // namespace

int main(int argc, char** argv) {
  if (argc == 11 && std::string_view{argv[1]} == "--client") {
    const kill_client_options client{.address = argv[2],
                                     .writer = std::stoi(argv[3]),
                                     .seed = std::stoull(argv[4]),
                                     .number_base = std::stoull(argv[5]),
                                     .deadline_ms = std::stoi(argv[6]),
                                     .large_values = argv[7][0] == '1',
                                     .short_lives = argv[8][0] == '1',
                                     .transactions = argv[9][0] == '1',
                                     .resp = argv[10][0] == '1'};
    return client.resp ? run_kill_resp_client(client) : run_kill_client(client);
  }
  loop_options options{.program = "/proc/self/exe", .seed = std::random_device{}()};
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const bool has_value = i + 1 < argc;
    if (arg == "--warpd" && has_value)
      options.warpd = argv[++i];
    else if (arg == "--rounds" && has_value)
      options.rounds = std::stoi(argv[++i]);
    else if (arg == "--minutes" && has_value)
      options.minutes = std::stoi(argv[++i]);
    else if (arg == "--seed" && has_value)
      options.seed = std::stoull(argv[++i]);
    else if (arg == "--resp")
      options.resp = true;
    else if (arg == "--verbose")
      options.verbose = true;
    else
      return usage(argv[i]);
  }
  std::printf("kill loop: seed %lu\n", static_cast<unsigned long>(options.seed));
  std::fflush(stdout);
  try {
    const auto no_mounts = leave_mount_namespace();
    if (options.resp)
      std::printf("clients of the RESP port\n");
    else if (no_mounts.empty())
      full_file_system(options);
    else
      std::printf("full file system: skipped: %s\n", no_mounts.c_str());
    kill_loop loop{options};
    loop.run();
    std::printf("%s\n", loop.summary().c_str());
  } catch (const kill_failure& f) {
    std::fprintf(stderr, "kill loop FAILED (seed %lu): %s\n",
                 static_cast<unsigned long>(options.seed), f.what.c_str());
    return 1;
  }
  return 0;
}
