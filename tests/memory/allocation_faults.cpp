#include "tests/memory/allocation_faults.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace {

thread_local bool counts = false;
std::atomic<std::uint64_t> called{0}, turned_away{0}, first_refused{0}, last_refused{0},
    refused_share{0};

[[maybe_unused]] bool is_refused() noexcept {
  if (!counts) return false;
  const auto number = called.fetch_add(1, std::memory_order_relaxed) + 1;
  const auto first = first_refused.load(std::memory_order_relaxed);
  bool refuse =
      first != 0 && number >= first && number <= last_refused.load(std::memory_order_relaxed);
  if (const auto share = refused_share.load(std::memory_order_relaxed); share != 0) {
    auto x = number * 0x9e3779b97f4a7c15u; // the finaliser of SplitMix64
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    refuse = refuse || (x ^ x >> 31) % share == 0;
  }
  if (!refuse) return false;
  turned_away.fetch_add(1, std::memory_order_relaxed);
  errno = ENOMEM;
  return true;
}

} // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  return is_refused() ? nullptr : __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  return is_refused() ? nullptr : __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  return is_refused() ? nullptr : __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return is_refused() ? nullptr : __libc_memalign(alignment, size);
}
int mprotect(void* address, std::size_t size, int protection) {
  if (is_refused()) return -1;
  return static_cast<int>(::syscall(SYS_mprotect, address, size, protection));
}
}

namespace warp::testing::allocation_faults {
bool available() noexcept {
  return true;
}
} // namespace warp::testing::allocation_faults

#else

namespace warp::testing::allocation_faults {
bool available() noexcept {
  return false;
}
} // namespace warp::testing::allocation_faults

#endif

namespace warp::testing {

namespace allocation_faults {

void refuse(std::uint64_t first, std::uint64_t times) noexcept {
  refused_share = 0;
  first_refused = first;
  last_refused = first > ~std::uint64_t{0} - times ? ~std::uint64_t{0} : first + times - 1;
  called = turned_away = 0;
}

void refuse_some(std::uint64_t one_in) noexcept {
  refuse(0);
  refused_share = one_in;
}

std::uint64_t calls() noexcept {
  return called;
}
std::uint64_t refused() noexcept {
  return turned_away;
}

armed::armed() noexcept : before_(std::exchange(counts, true)) {}
armed::~armed() {
  counts = before_;
}
spared::spared() noexcept : before_(std::exchange(counts, false)) {}
spared::~spared() {
  counts = before_;
}

} // namespace allocation_faults

namespace {

using allocation_faults::spared;

class spared_file final : public storage::file {
public:
  explicit spared_file(std::unique_ptr<storage::file> base) : base_(std::move(base)) {}
  ~spared_file() override {
    spared here;
    base_.reset();
  }

  op_result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    spared here;
    return base_->read_at(offset, buffer);
  }
  op_status write_at(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    spared here;
    return base_->write_at(offset, pieces);
  }
  op_status sync() override {
    spared here;
    return base_->sync();
  }
  op_status write_synced(std::uint64_t offset, std::span<const std::string_view> pieces) override {
    spared here;
    return base_->write_synced(offset, pieces);
  }
  op_status truncate(std::uint64_t size) override {
    spared here;
    return base_->truncate(size);
  }
  op_result<std::uint64_t> size() override {
    spared here;
    return base_->size();
  }

private:
  std::unique_ptr<storage::file> base_;
};

} // namespace

op_result<std::unique_ptr<storage::file>> spared_file_system::open(const std::string& path,
                                                                   storage::open_mode mode) {
  spared here;
  auto opened = base_.open(path, mode);
  if (!opened) return opened.status();
  return std::unique_ptr<storage::file>{std::make_unique<spared_file>(std::move(*opened))};
}
op_result<std::vector<std::string>> spared_file_system::list(const std::string& folder) {
  spared here;
  return base_.list(folder);
}
op_result<bool> spared_file_system::exists(const std::string& path) {
  spared here;
  return base_.exists(path);
}
op_status spared_file_system::create_folder(const std::string& path) {
  spared here;
  return base_.create_folder(path);
}
op_status spared_file_system::rename(const std::string& from, const std::string& to) {
  spared here;
  return base_.rename(from, to);
}
op_status spared_file_system::remove(const std::string& path) {
  spared here;
  return base_.remove(path);
}
op_status spared_file_system::sync_folder(const std::string& folder) {
  spared here;
  return base_.sync_folder(folder);
}
op_result<std::uint64_t> spared_file_system::free_bytes(const std::string& path) {
  spared here;
  return base_.free_bytes(path);
}
op_result<std::unique_ptr<storage::folder_lock>>
spared_file_system::lock(const std::string& folder) {
  spared here;
  return base_.lock(folder);
}

} // namespace warp::testing
