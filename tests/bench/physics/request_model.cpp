#include "tests/bench/physics/request_model.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace warp::bench::physics {

namespace {

/// Spreads a number over all bits: which entity takes a rank over, and when.
std::uint64_t scrambled(std::uint64_t a, std::uint64_t b) {
  return fast_random{a * 0x9e3779b97f4a7c15u + b}();
}

} // namespace

double request_model::rate(double hour) const {
  return 1 + options_.diurnal_swing * std::sin(hour / 24 * 2 * std::numbers::pi);
}

std::uint32_t request_model::entity_of(std::uint64_t rank, std::uint32_t count, double hour) const {
  // Each rank has a moment of its own in every period at which another entity takes it over.
  const double phase = static_cast<double>(scrambled(rank, 1) >> 40) * 0x1p-24;
  const auto epoch = static_cast<std::uint64_t>(hour * options_.drift_per_hour + phase);
  return static_cast<std::uint32_t>(scrambled(rank, 2 + epoch) % count);
}

bool request_model::flash(double hour, std::uint32_t count, std::uint32_t& entity) {
  if (options_.flash_share <= 0 || random_.unit() >= options_.flash_share) return false;
  entity = static_cast<std::uint32_t>(scrambled(static_cast<std::uint64_t>(hour), 77) % count);
  return true;
}

shop_model::shop_model(const model_options& options)
    : request_model(options), products_(std::max(options.entities / 4, department)),
      user_rank_(options.entities, options.theta), product_rank_(products_, options.theta),
      department_rank_(department, options.theta) {}

std::uint32_t shop_model::groups() const {
  return options_.entities * user_parts + products_ * product_parts;
}

std::uint32_t shop_model::product_key(std::uint32_t product, std::uint32_t part) const {
  return options_.entities * user_parts + product * product_parts + part;
}

std::uint32_t shop_model::some_product(std::uint32_t u, double hour) {
  std::uint32_t product = 0;
  if (flash(hour, products_, product)) return product;
  if (random_.below(10) == 0) return entity_of(product_rank_(random_), products_, hour);
  const auto own = scrambled(u, 3 + random_.below(2)) % (products_ / department);
  return static_cast<std::uint32_t>(own * department + department_rank_(random_));
}

void shop_model::next(double hour, request& out) {
  out.clear();
  const auto u = entity_of(user_rank_(random_), options_.entities, hour);
  const auto kind = random_.below(100);
  if (kind < 35) { // account
    for (const auto part : {user, profile, settings, session}) out.push_back(user_key(u, part));
  } else if (kind < 65) { // product
    const auto product = some_product(u, hour);
    for (std::uint32_t part = 0; part < product_parts; ++part)
      out.push_back(product_key(product, part));
  } else if (kind < 80) { // order
    for (const auto part : {user, order, payment}) out.push_back(user_key(u, part));
  } else if (kind < 92) { // department
    const auto first = some_product(u, hour) / department * department;
    for (int i = 0; i < 5; ++i)
      out.push_back(product_key(
          std::min(first + static_cast<std::uint32_t>(department_rank_(random_)), products_ - 1),
          0));
  } else { // cart
    out.push_back(user_key(u, session));
    out.push_back(user_key(u, cart));
    for (auto n = 1 + random_.below(2); n > 0; --n)
      out.push_back(product_key(some_product(u, hour), 0));
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
}

social_model::social_model(const model_options& options)
    : request_model(options), user_rank_(options.entities, options.theta),
      follow_rank_(follows, 0.6) {
  const auto users = options.entities;
  followed_.resize(std::size_t{users} * follows);
  for (std::uint32_t begin = 0; begin < users;) {
    // Sizes from 20 to 400, small ones more often.
    const auto wanted = static_cast<std::uint32_t>(20 * std::pow(20.0, random_.unit()));
    const auto size = std::min(wanted, users - begin);
    for (std::uint32_t u = begin; u < begin + size; ++u)
      for (std::uint32_t f = 0; f < follows; ++f)
        followed_[u * follows + f] = random_.below(10) < 8
                                         ? begin + random_.below(size)
                                         : entity_of(user_rank_(random_), users, 0);
    begin += size;
  }
}

std::uint32_t social_model::groups() const {
  return options_.entities * user_parts;
}

void social_model::next(double hour, request& out) {
  out.clear();
  auto u = entity_of(user_rank_(random_), options_.entities, hour);
  const auto some_followed = [&] { return followed_[u * follows + follow_rank_(random_)]; };
  const auto kind = random_.below(100);
  if (kind < 30) { // profile
    for (const auto part : {user, profile, settings, session}) out.push_back(key(u, part));
  } else if (kind < 70) { // post
    auto author = some_followed();
    flash(hour, options_.entities, author);
    for (const auto part : {user, post, comments, tags}) out.push_back(key(author, part));
  } else if (kind < 90) { // time line
    out.push_back(key(u, session));
    for (int i = 0; i < 4; ++i) out.push_back(key(some_followed(), post));
  } else { // conversation
    const auto other = some_followed();
    for (const auto who : {u, other})
      for (const auto part : {user, profile}) out.push_back(key(who, part));
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
}

} // namespace warp::bench::physics
