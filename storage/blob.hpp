#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace warp::storage {

/// Values of at least this many bytes are kept as blobs: allocated and filled before the shard lock
/// is taken, and shared by the table, the log buffer and readers without a copy.
inline constexpr std::size_t blob_size_min = 16 * 1024;

class indexed_hash;

/// Immutable, reference-counted bytes behind one pointer. Filled once by its maker, then read by
/// any thread. Or the head of an indexed_hash, which stands wherever a large value can.
class blob {
public:
  /// The bytes; none of an indexed hash.
  [[nodiscard]] std::string_view view() const noexcept { return {data(), is_hash_ ? 0 : size_}; }
  /// Of the bytes; of a hash in its packed form.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Null for bytes. Defined in indexed_hash.hpp.
  [[nodiscard]] indexed_hash* hash() noexcept;
  [[nodiscard]] const indexed_hash* hash() const noexcept;
  /// Is the caller's the only reference? Then it stays so while the caller makes no other.
  [[nodiscard]] bool is_unshared() const noexcept {
    return references_.load(std::memory_order_acquire) == 1;
  }

  void acquire() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

protected:
  struct of_hash {};
  explicit blob(of_hash) noexcept : size_(0), is_hash_(true) {}
  ~blob() = default;
  std::size_t size_;

private:
  friend class blob_ref;
  explicit blob(std::size_t size) : size_(size) {}
  char* data() noexcept { return reinterpret_cast<char*>(this + 1); }
  const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  void destroy() noexcept {
    if (is_hash_) return destroy_hash();
    this->~blob();
    std::free(this);
  }
  void destroy_hash() noexcept; ///< in indexed_hash.cpp

  std::atomic<std::uint32_t> references_{1};
  const bool is_hash_ = false;
};

/// Owns one reference to a blob, or none. A value: copy shares, move hands over.
class blob_ref {
public:
  blob_ref() noexcept = default;
  blob_ref(const blob_ref& other) noexcept : blob_(other.blob_) {
    if (blob_) blob_->acquire();
  }
  blob_ref(blob_ref&& other) noexcept : blob_(std::exchange(other.blob_, nullptr)) {}
  blob_ref& operator=(blob_ref other) noexcept {
    std::swap(blob_, other.blob_);
    return *this;
  }
  ~blob_ref() {
    if (blob_) blob_->release();
  }

  /// A new blob with a copy of `bytes`. Throws std::bad_alloc.
  static blob_ref copy_of(std::string_view bytes) {
    auto ref = of_size(bytes.size());
    std::memcpy(ref.blob_->data(), bytes.data(), bytes.size());
    return ref;
  }
  /// A new blob of `size` bytes, to be filled through fill() by its one owner before it is shared.
  static blob_ref of_size(std::size_t size) {
    void* memory = std::malloc(sizeof(blob) + size);
    if (!memory) throw std::bad_alloc{};
    return adopt(new (memory) blob(size));
  }
  /// Takes over a reference that somebody holds as a bare pointer (the table keeps them so).
  static blob_ref adopt(blob* b) noexcept {
    blob_ref ref;
    ref.blob_ = b;
    return ref;
  }
  /// Shares a blob that somebody else keeps alive for the moment.
  static blob_ref share(blob* b) noexcept {
    if (b) b->acquire();
    return adopt(b);
  }

  [[nodiscard]] blob* get() const noexcept { return blob_; }
  [[nodiscard]] blob* detach() noexcept { return std::exchange(blob_, nullptr); }
  [[nodiscard]] char* fill() const noexcept { return blob_->data(); }
  [[nodiscard]] std::string_view view() const noexcept {
    return blob_ ? blob_->view() : std::string_view{};
  }
  explicit operator bool() const noexcept { return blob_ != nullptr; }

private:
  blob* blob_ = nullptr;
};

} // namespace warp::storage
