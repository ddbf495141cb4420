#pragma once

#include "tests/bench/random.hpp"
#include "tests/bench/zipf.hpp"

#include <cstdint>
#include <vector>

namespace warp::bench::physics {

/// What the models of an application have in common.
struct model_options {
  std::uint32_t entities = 20'000; ///< users
  double theta = 0.8;              ///< skew of the popularity of users and products
  double drift_per_hour = 0;       ///< share of the popularity ranks that change hands in an hour
  double flash_share = 0;          ///< share of the requests that a flash crowd makes
  double diurnal_swing = 0; ///< of the rate over a day: 0.5 is between half and one and a half
  std::uint64_t seed = 1;
};

/// One request: the keys that it reads together, numbered from 0. Each key is a locality group.
using request = std::vector<std::uint32_t>;

/// A stream of requests whose entities are known. The same for the same options.
class request_model {
public:
  virtual ~request_model() = default;
  /// Keys are in [0, groups()).
  [[nodiscard]] virtual std::uint32_t groups() const = 0;
  /// The next request at a time of the day, in hours since the start.
  virtual void next(double hour, request& out) = 0;
  /// Requests a second at a time, as a multiple of the mean: the diurnal wave.
  [[nodiscard]] double rate(double hour) const;

protected:
  explicit request_model(const model_options& options) : options_(options), random_(options.seed) {}
  /// Popular ranks change hands with time: the entity that has a rank at this hour.
  [[nodiscard]] std::uint32_t entity_of(std::uint64_t rank, std::uint32_t count, double hour) const;

  /// Whether this request belongs to the flash crowd of the hour, and then what it is after.
  bool flash(double hour, std::uint32_t count, std::uint32_t& entity);

  model_options options_;
  fast_random random_;
};

/// A shop: users (profile, settings, sessions, cart), their orders (with payment), products
/// (reviews, inventory, pricing) in departments of 40 that sell together; a user buys in the two
/// departments of their own for nine of ten, else anywhere. Requests: account pages 35 %, product
/// pages 30 %, order pages 15 %, department pages (5 products) 12 %, carts with products 8 %.
class shop_model : public request_model {
public:
  explicit shop_model(const model_options& options);
  [[nodiscard]] std::uint32_t groups() const override;
  void next(double hour, request& out) override;

private:
  enum user_part : std::uint32_t { user, profile, settings, session, cart, order, payment };
  static constexpr std::uint32_t user_parts = 7, product_parts = 4, department = 40;
  [[nodiscard]] std::uint32_t user_key(std::uint32_t u, user_part p) const {
    return u * user_parts + p;
  }
  [[nodiscard]] std::uint32_t product_key(std::uint32_t product, std::uint32_t part) const;
  std::uint32_t some_product(std::uint32_t u, double hour);

  std::uint32_t products_;
  zipf user_rank_, product_rank_, department_rank_;
};

/// A social network: users (profile, settings, session) and their posts (comments, tags) in
/// communities of 20 to 400 that follow each other: eight of ten followed users are of the same
/// community. Requests: profile pages 30 %, posts with author and comments 40 %, time lines (the
/// reader and the posts of 4 followed users) 20 %, conversations (2 users) 10 %.
class social_model : public request_model {
public:
  explicit social_model(const model_options& options);
  [[nodiscard]] std::uint32_t groups() const override;
  void next(double hour, request& out) override;

private:
  enum user_part : std::uint32_t { user, profile, settings, session, post, comments, tags };
  static constexpr std::uint32_t user_parts = 7, follows = 12;
  [[nodiscard]] std::uint32_t key(std::uint32_t u, user_part p) const { return u * user_parts + p; }

  std::vector<std::uint32_t> followed_; ///< `follows` a user
  zipf user_rank_, follow_rank_;
};

} // namespace warp::bench::physics
