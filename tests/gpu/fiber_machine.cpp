// Runs kernels on the CPU, thread by thread: what simt::machine is in the tests.
//
// A thread of a block is a fiber. The lanes of a team go from one meeting to the next one after the
// other, in an order that turns round each time, as do the teams of a block: a kernel that needs
// them to meet and does not say so gives another answer, and one whose lanes part at a meeting ends
// the test.

#include "gpu/cuda/simt.cuh"

#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace warp::gpu::simt {

namespace {

enum class state { ready, at_team, at_block, finished };

/// Of a context that may be left and come back to, for the sanitizer.
struct stack_note {
  void* fake = nullptr;
  const void* bottom = nullptr;
  std::size_t size = 0;
};

struct fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack;
  stack_note note;
  machine place;
  state now = state::ready;
};

class block_of_fibers {
public:
  void run(unsigned blocks, unsigned threads, void (*body)(void*), void* context) {
    body_ = body;
    context_ = context;
    while (fibers_.size() < threads) add();
    for (unsigned b = 0; b < blocks; ++b) run_block(b, threads, blocks);
  }

  const machine& here() const noexcept { return running_->place; }
  void leave(state why) noexcept {
    running_->now = why;
    change(running_->context, running_->note, main_, main_note_);
  }
  const std::uint64_t* meet_team(std::uint64_t given) noexcept {
    const auto lane = running_->place.thread % team_lanes;
    const auto pass = pass_;
    given_[(pass + 1) % 2][lane] = given;
    leave(state::at_team);
    return given_[(pass + 1) % 2];
  }

private:
  static constexpr std::size_t stack_bytes = 256 << 10;

  void add() {
    auto f = std::make_unique<fiber>();
    f->stack.reset(new char[stack_bytes]); // uninitialised: only what is used costs memory
    f->note.bottom = f->stack.get();
    f->note.size = stack_bytes;
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.get();
    f->context.uc_stack.ss_size = stack_bytes;
    f->context.uc_link = nullptr;
    makecontext(&f->context, &block_of_fibers::live, 0);
    fibers_.push_back(std::move(f));
  }
  static void live();

  /// Between the main context and a fiber's.
  void change(ucontext_t& from, stack_note& from_note, ucontext_t& to, stack_note& to_note) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from_note.fake, to_note.bottom, to_note.size);
#else
    static_cast<void>(from_note);
    static_cast<void>(to_note);
#endif
    swapcontext(&from, &to);
    arrived(from_note);
  }
  void arrived([[maybe_unused]] stack_note& at) {
#if defined(__SANITIZE_ADDRESS__)
    const void* bottom = nullptr;
    std::size_t size = 0;
    __sanitizer_finish_switch_fiber(at.fake, &bottom, &size);
    if (&at != &main_note_) {
      main_note_.bottom = bottom;
      main_note_.size = size;
    }
#endif
  }

  void resume(fiber& f) {
    running_ = &f;
    change(main_, main_note_, f.context, f.note);
  }

  /// Until all lanes wait for the block or have finished.
  void run_team(unsigned first) {
    for (;;) {
      unsigned count[4] = {};
      for (unsigned i = 0; i < team_lanes; ++i) {
        auto& f = *fibers_[first + (pass_ % 2 ? team_lanes - 1 - i : i)];
        if (f.now == state::ready || f.now == state::at_team) resume(f);
        ++count[static_cast<unsigned>(f.now)];
      }
      ++pass_;
      const auto meeting = count[static_cast<unsigned>(state::at_team)];
      if (meeting == 0) return;
      if (meeting != team_lanes) give_up("some lanes of a team wait for the others, which do not");
    }
  }

  void run_block(unsigned number, unsigned threads, unsigned blocks) {
    for (unsigned t = 0; t < threads; ++t) {
      fibers_[t]->place = {t, number, threads, blocks};
      fibers_[t]->now = state::ready;
    }
    const auto teams = threads / team_lanes;
    for (;;) {
      for (unsigned t = 0; t < teams; ++t) run_team((round_ % 2 ? teams - 1 - t : t) * team_lanes);
      ++round_;
      unsigned finished = 0;
      for (unsigned t = 0; t < threads; ++t) finished += fibers_[t]->now == state::finished;
      if (finished == threads) return;
      if (finished != 0) give_up("some threads of a block wait for others that have finished");
      for (unsigned t = 0; t < threads; ++t) fibers_[t]->now = state::ready;
    }
  }

  [[noreturn]] static void give_up(const char* why) {
    std::fprintf(stderr, "fiber_machine: %s\n", why);
    std::abort();
  }

  std::vector<std::unique_ptr<fiber>> fibers_;
  fiber* running_ = nullptr;
  ucontext_t main_{};
  stack_note main_note_;
  void (*body_)(void*) = nullptr;
  void* context_ = nullptr;
  unsigned pass_ = 0, round_ = 0;
  std::uint64_t given_[2][team_lanes] = {};
};

block_of_fibers& the_block() {
  static block_of_fibers block;
  return block;
}

void block_of_fibers::live() {
  auto& all = the_block();
  all.arrived(all.running_->note);
  for (;;) {
    all.body_(all.context_);
    all.leave(state::finished);
  }
}

} // namespace

void machine::run(unsigned blocks, unsigned threads, void (*body)(void*), void* context) {
  the_block().run(blocks, threads, body, context);
}
const machine& machine::here() noexcept {
  return the_block().here();
}
void machine::meet_block() noexcept {
  the_block().leave(state::at_block);
}
const std::uint64_t* machine::meet_team(std::uint64_t given) noexcept {
  return the_block().meet_team(given);
}

} // namespace warp::gpu::simt
