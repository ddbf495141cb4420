// Preloaded into a warpd (LD_PRELOAD), this makes its disk slow or full, its lease clock run fast
// or slow, and its wall clock jump, as the file FAULT_SHIM_CONTROL says, while it runs: four
// numbers of 8 bytes each, which a test writes at any time:
//
//   0  microseconds that each write and each sync takes longer
//   1  not 0: what writes or makes longer a file fails with ENOSPC
//   2  by how many millionths CLOCK_BOOTTIME, the clock of the read leases, runs fast
//   3  by how many seconds the wall clock is ahead
//
// The kernel's own view of the wall clock stays: who waits for a moment of it would wait too long.

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

struct control {
  std::atomic<std::int64_t> delay_us, is_full, fast_ppm, ahead_s;
};

control* find_control() {
  const char* path = std::getenv("FAULT_SHIM_CONTROL");
  if (path == nullptr) return nullptr;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* at = ::mmap(nullptr, sizeof(control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<control*>(at);
}

control* faults() {
  static control* const found = find_control();
  return found;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool is_file(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/// False: the call fails, as the disk is full.
bool pass(int fd, bool grows) {
  auto* const f = faults();
  if (f == nullptr || !is_file(fd)) return true;
  if (const auto us = f->delay_us.load(std::memory_order_relaxed); us > 0) {
    const timespec pause{.tv_sec = us / 1'000'000, .tv_nsec = us % 1'000'000 * 1'000};
    ::nanosleep(&pause, nullptr);
  }
  if (!grows || f->is_full.load(std::memory_order_relaxed) == 0) return true;
  errno = ENOSPC;
  return false;
}

time_t ahead_s() {
  auto* const f = faults();
  return f == nullptr ? 0 : f->ahead_s.load(std::memory_order_relaxed);
}

void run_fast(timespec& at) {
  auto* const f = faults();
  const auto ppm = f == nullptr ? 0 : f->fast_ppm.load(std::memory_order_relaxed);
  if (ppm == 0) return;
  const auto ns = at.tv_sec * 1'000'000'000 + at.tv_nsec;
  static const std::int64_t from = ns;
  const auto shown = ns + (ns - from) / 1'000'000 * ppm;
  at.tv_sec = shown / 1'000'000'000;
  at.tv_nsec = shown % 1'000'000'000;
}

} // namespace

extern "C" {

int fdatasync(int fd) {
  static const auto next = real<int(int)>("fdatasync");
  return pass(fd, false) ? next(fd) : -1;
}
int fsync(int fd) {
  static const auto next = real<int(int)>("fsync");
  return pass(fd, false) ? next(fd) : -1;
}
ssize_t pwritev2(int fd, const iovec* parts, int count, off_t at, int flags) {
  static const auto next = real<ssize_t(int, const iovec*, int, off_t, int)>("pwritev2");
  return pass(fd, true) ? next(fd, parts, count, at, flags) : -1;
}
ssize_t pwritev64v2(int fd, const iovec* parts, int count, off64_t at, int flags) {
  static const auto next = real<ssize_t(int, const iovec*, int, off64_t, int)>("pwritev64v2");
  return pass(fd, true) ? next(fd, parts, count, at, flags) : -1;
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  static const auto next = real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return pass(fd, true) ? next(fd, bytes, size, at) : -1;
}
int fallocate(int fd, int mode, off_t from, off_t size) {
  static const auto next = real<int(int, int, off_t, off_t)>("fallocate");
  return pass(fd, true) ? next(fd, mode, from, size) : -1;
}
int posix_fallocate(int fd, off_t from, off_t size) {
  static const auto next = real<int(int, off_t, off_t)>("posix_fallocate");
  return pass(fd, true) ? next(fd, from, size) : ENOSPC;
}
int clock_gettime(clockid_t which, timespec* into) noexcept {
  static const auto next = real<int(clockid_t, timespec*)>("clock_gettime");
  const int result = next(which, into);
  if (result != 0) return result;
  if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) into->tv_sec += ahead_s();
  if (which == CLOCK_BOOTTIME) run_fast(*into);
  return 0;
}
int gettimeofday(timeval* into, void* zone) noexcept {
  static const auto next = real<int(timeval*, void*)>("gettimeofday");
  const int result = next(into, zone);
  if (result == 0) into->tv_sec += ahead_s();
  return result;
}
time_t time(time_t* into) noexcept {
  static const auto next = real<time_t(time_t*)>("time");
  const auto now = next(nullptr) + ahead_s();
  if (into != nullptr) *into = now;
  return now;
}
}
