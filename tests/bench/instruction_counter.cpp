#include "tests/bench/instruction_counter.hpp"

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace warp::bench {

instruction_counter::instruction_counter() noexcept {
  perf_event_attr what{};
  what.size = sizeof what;
  what.type = PERF_TYPE_HARDWARE;
  what.config = PERF_COUNT_HW_INSTRUCTIONS;
  what.inherit = 1;
  what.exclude_kernel = 1;
  what.exclude_hv = 1;
  constexpr int this_thread = 0, any_processor = -1, no_group = -1;
  file_ = static_cast<int>(::syscall(SYS_perf_event_open, &what, this_thread, any_processor,
                                     no_group, PERF_FLAG_FD_CLOEXEC));
}

instruction_counter::~instruction_counter() {
  if (works()) ::close(file_);
}

std::uint64_t instruction_counter::now() const noexcept {
  std::uint64_t count = 0;
  return works() && ::read(file_, &count, sizeof count) == sizeof count ? count : 0;
}

} // namespace warp::bench
