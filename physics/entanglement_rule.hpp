#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::physics {

/// A pattern rule: keys of one form have partners of other forms that share a part of the name.
///     "user:* -> profile:*, settings:*"      user:7 has the partners profile:7 and settings:7
/// Each form has exactly one '*', which stands for one byte or more; the key's part in its place is
/// put into the partners' forms. Blanks around forms mean nothing. A value.
class entanglement_rule {
public:
  /// strength in (0, 1]. Nothing when the text is no such rule.
  static std::optional<entanglement_rule> parse(std::string_view text, double strength = 0.8);

  /// What stands in the place of '*', a view into `key`; nothing when the key is not of the form.
  /// A rule that says so makes this the key's locality group. O(form).
  [[nodiscard]] std::optional<std::string_view> captured(std::string_view key) const noexcept;

  /// The partners of a key, in the rule's order; empty when it is not of the form.
  [[nodiscard]] std::vector<std::string> partners_of(std::string_view key) const;

  [[nodiscard]] double strength() const noexcept { return strength_; }

private:
  struct form {
    std::string before, after; ///< the '*'
  };
  static std::optional<form> parse_form(std::string_view text);

  form key_;
  std::vector<form> partners_;
  double strength_ = 0;
};

} // namespace warp::physics
