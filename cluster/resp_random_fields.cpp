#include "cluster/resp_random_fields.hpp"

#include <random>
#include <unordered_set>
#include <utility>
#include <vector>

namespace warp::cluster {

namespace {

using field = std::pair<std::string_view, std::string_view>;

/// Fields of neighbouring leaves among which one is drawn. Leaves hold a few dozen fields, more or
/// less: over several of them the differences even out.
constexpr std::size_t window_fields = 64;
/// Up to a hash of so many times the fields that are asked for, all are looked at.
constexpr std::uint64_t few_in_many = 32;

std::mt19937_64& source() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return random;
}

/// Evenly from [0, below); below > 0.
std::uint64_t number_below(std::uint64_t below) {
  return std::uniform_int_distribution<std::uint64_t>{0, below - 1}(source());
}

std::vector<field> all_of(const storage::hash_view& fields) {
  std::vector<field> all;
  all.reserve(fields.count());
  fields.for_each(
      [&](std::string_view name, std::string_view value) { all.emplace_back(name, value); });
  return all;
}

/// One field of an indexed hash, without a look at all of them.
field any_of(const storage::indexed_hash& fields, std::vector<field>& window) {
  window.clear();
  auto at = source()();
  do
    at = fields.walk(at, [&](std::string_view name, std::string_view value) {
      window.emplace_back(name, value);
    });
  while (window.size() < window_fields); // behind the last leaf comes the first one
  return window[number_below(window.size())];
}

/// `count` different ones, in the order in which they stand; count <= fields.count().
std::vector<field> distinct(const storage::hash_view& fields, std::uint64_t count) {
  std::vector<field> drawn;
  drawn.reserve(count);
  if (fields.indexed() && fields.count() / few_in_many >= count) {
    std::unordered_set<std::string_view> names;
    std::vector<field> window;
    while (drawn.size() < count)
      if (const auto one = any_of(*fields.indexed(), window); names.insert(one.first).second)
        drawn.push_back(one);
    return drawn;
  }
  // Each is taken with the chance that is left to it.
  std::uint64_t left = fields.count();
  fields.for_each([&](std::string_view name, std::string_view value) {
    if (number_below(left--) < count - drawn.size()) drawn.emplace_back(name, value);
  });
  return drawn;
}

/// `count` of them, each drawn from all.
std::vector<field> repeated(const storage::hash_view& fields, std::uint64_t count) {
  std::vector<field> drawn;
  drawn.reserve(count);
  if (fields.indexed() && fields.count() / few_in_many >= count) {
    for (std::vector<field> window; drawn.size() < count;)
      drawn.push_back(any_of(*fields.indexed(), window));
    return drawn;
  }
  const auto all = all_of(fields);
  while (drawn.size() < count) drawn.push_back(all[number_below(all.size())]);
  return drawn;
}

std::uint64_t bytes_of(const std::vector<field>& drawn, bool with_values) {
  std::uint64_t bytes = 0;
  for (const auto& [name, value] : drawn) bytes += name.size() + (with_values ? value.size() : 0);
  return bytes;
}

} // namespace

void write_random_fields(resp_writer& out, const storage::hash_view& fields, reply_shape shape,
                         std::int64_t count) {
  if (shape == reply_shape::hash_random) return out.bulk(repeated(fields, 1).front().first);
  const bool with_values = shape == reply_shape::hash_random_pairs;
  if (count < -repeated_fields_max)
    return out.error("ERR value is out of range, at most 1000000 fields may repeat");
  const auto drawn =
      count < 0 ? repeated(fields, static_cast<std::uint64_t>(-count))
                : distinct(fields, std::min<std::uint64_t>(static_cast<std::uint64_t>(count),
                                                           fields.count()));
  if (count < 0 && bytes_of(drawn, with_values) > repeated_bytes_max)
    return out.error("ERR value is out of range, the fields would take more than 512 MiB");
  const bool in_pairs = out.protocol() == 3;
  out.array(with_values && !in_pairs ? 2 * drawn.size() : drawn.size());
  for (const auto& [name, value] : drawn) {
    if (with_values && in_pairs) out.array(2);
    out.bulk(name);
    if (with_values) out.bulk(value);
  }
}

} // namespace warp::cluster
