#pragma once

#include "gpu/batch_rules.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace warp::actors {

// Several batches of one kind as one: what they have a row each of stands behind each other, what
// all rows share is the same memory in all of them. Gravity fields with the same places, entropies,
// walks on the same graph, evolutions over the same time, scores of the same model. The others are
// computed one after the other: nothing in them can be shared.

namespace joining {

template <class T>
bool same(std::span<T> a, std::span<T> b) noexcept {
  return a.data() == b.data() && a.size() == b.size();
}
inline bool same(const gpu::csr_graph& a, const gpu::csr_graph& b) noexcept {
  return same(a.first, b.first) && same(a.to, b.to) && same(a.weight, b.weight);
}

/// What all rows share.
inline bool fit(const gpu::gravity_batch& a, const gpu::gravity_batch& b) noexcept {
  return same(a.capacity, b.capacity) && same(a.load, b.load) && a.softening == b.softening &&
         a.top == b.top && a.field.empty() == b.field.empty();
}
inline bool fit(const gpu::entropy_batch&, const gpu::entropy_batch&) noexcept {
  return true;
}
inline bool fit(const gpu::walk_batch& a, const gpu::walk_batch& b) noexcept {
  return same(a.graph, b.graph) && a.time == b.time;
}
inline bool fit(const gpu::evolution_batch& a, const gpu::evolution_batch& b) noexcept {
  return a.dt_s == b.dt_s;
}
inline bool fit(const gpu::score_batch& a, const gpu::score_batch& b) noexcept {
  return a.shape.features == b.shape.features && a.shape.classes == b.shape.classes &&
         same(a.weights, b.weights);
}
template <class Batch>
bool fit(const Batch&, const Batch&) noexcept {
  return false;
}

/// Calls f(span&) for each input of which a row has a part.
template <class Use>
void for_each_row_input(gpu::gravity_batch& b, Use&& f) {
  f(b.mass), f(b.weight_of_all), f(b.weight_to_place);
}
template <class Use>
void for_each_row_input(gpu::entropy_batch& b, Use&& f) {
  f(b.load), f(b.capacity);
}
template <class Use>
void for_each_row_input(gpu::walk_batch& b, Use&& f) {
  f(b.source);
}
template <class Use>
void for_each_row_input(gpu::evolution_batch& b, Use&& f) {
  f(b.amplitude), f(b.phase), f(b.energy);
}
template <class Use>
void for_each_row_input(gpu::score_batch& b, Use&& f) {
  f(b.features);
}
template <class Batch, class Use>
void for_each_row_input(Batch&, Use&&) {}

/// Bytes of what all rows share, or of all inputs where nothing is joined.
inline std::size_t shared_bytes(const gpu::csr_graph& g) noexcept {
  return g.first.size_bytes() + g.to.size_bytes() + g.weight.size_bytes();
}
inline std::size_t shared_bytes(const gpu::gravity_batch& b) noexcept {
  return b.capacity.size_bytes() + b.load.size_bytes();
}
inline std::size_t shared_bytes(const gpu::entropy_batch& b) noexcept {
  return b.first.size_bytes();
}
inline std::size_t shared_bytes(const gpu::walk_batch& b) noexcept {
  return shared_bytes(b.graph);
}
inline std::size_t shared_bytes(const gpu::evolution_batch&) noexcept {
  return 0;
}
inline std::size_t shared_bytes(const gpu::score_batch& b) noexcept {
  return b.weights.size_bytes();
}
inline std::size_t shared_bytes(const gpu::heat_batch& b) noexcept {
  return shared_bytes(b.graph) + b.temperature.size_bytes();
}
inline std::size_t shared_bytes(const gpu::horizon_batch& b) noexcept {
  return b.key_hash.size_bytes() + b.bytes.size_bytes() + b.settings.size_bytes();
}
inline std::size_t shared_bytes(const gpu::train_batch& b) noexcept {
  return b.weights.size_bytes() + b.features.size_bytes() + b.right.size_bytes();
}
inline std::size_t shared_bytes(const gpu::column_batch& b) noexcept {
  return b.value.size_bytes() + b.other.size_bytes();
}

} // namespace joining

/// Can these two be computed as one? Both are valid (gpu/batch_rules.hpp).
template <class Batch>
[[nodiscard]] bool can_join(const Batch& a, const Batch& b) noexcept {
  return joining::fit(a, b);
}

/// Bytes of a batch's inputs and outputs: what a device has to be sent and sends back.
template <class Batch>
[[nodiscard]] std::size_t bytes_of(Batch b) noexcept {
  auto sum = joining::shared_bytes(b);
  const auto add = [&sum](const auto& s) { sum += s.size_bytes(); };
  joining::for_each_row_input(b, add);
  gpu::for_each_output(b, add);
  return sum;
}

/// Batches that can_join(), each with the first, as one batch in memory of its own. Borrows their
/// spans. The constructor throws std::bad_alloc.
template <class Batch>
class joined_batch {
public:
  explicit joined_batch(std::vector<Batch> parts)
      : parts_(std::move(parts)), batch_(parts_.front()) {
    join_offsets(batch_);
    std::size_t n = 0;
    joining::for_each_row_input(batch_, [&](auto& whole) {
      auto* to = make_room(whole, [&](Batch& part, auto use) { nth_input(part, n, use); });
      for (auto& part : parts_)
        nth_input(part, n,
                  [&to](std::span<const std::byte> s) { to = std::copy(s.begin(), s.end(), to); });
      ++n;
    });
    n = 0;
    gpu::for_each_output(batch_, [&](auto& whole) {
      make_room(whole, [&](Batch& part, auto use) { nth_output(part, n, use); });
      ++n;
    });
  }
  joined_batch(const joined_batch&) = delete;
  joined_batch& operator=(const joined_batch&) = delete;

  [[nodiscard]] const Batch& batch() const noexcept { return batch_; }

  /// Copies the outputs to where each of the batches wants its own.
  void hand_out() noexcept {
    std::size_t n = 0;
    gpu::for_each_output(batch_, [&](auto& whole) {
      auto from = std::as_bytes(whole);
      for (auto& part : parts_)
        nth_output(part, n, [&from](std::span<std::byte> s) {
          std::copy_n(from.begin(), s.size(), s.begin());
          from = from.subspan(s.size());
        });
      ++n;
    });
  }

private:
  template <class Use>
  static void nth_input(Batch& b, std::size_t n, Use use) {
    std::size_t i = 0;
    joining::for_each_row_input(b, [&](auto& s) {
      if (i++ == n) use(std::as_bytes(s));
    });
  }
  template <class Use>
  static void nth_output(Batch& b, std::size_t n, Use use) {
    std::size_t i = 0;
    gpu::for_each_output(b, [&](auto& s) {
      if (i++ == n) use(std::as_writable_bytes(s));
    });
  }

  /// Lets `whole` be as long as its parts together; returns its memory.
  template <class Span, class Nth>
  std::byte* make_room(Span& whole, Nth nth) {
    std::size_t bytes = 0;
    for (auto& part : parts_)
      nth(part, [&bytes](std::span<const std::byte> s) { bytes += s.size(); });
    auto& memory = memory_.emplace_back(bytes);
    using element = typename Span::element_type;
    whole = {reinterpret_cast<element*>(memory.data()), bytes / sizeof(element)};
    return memory.data();
  }

  void join_offsets(gpu::entropy_batch& b) {
    offsets_.push_back(0);
    for (const auto& part : parts_)
      for (std::size_t i = 0; i < part.segments(); ++i)
        offsets_.push_back(offsets_.back() + part.first[i + 1] - part.first[i]);
    b.first = offsets_;
  }
  template <class Other>
  void join_offsets(Other&) noexcept {}

  std::vector<Batch> parts_;
  Batch batch_;
  std::vector<std::vector<std::byte>> memory_;
  std::vector<std::uint64_t> offsets_;
};

} // namespace warp::actors
