#include "physics/entanglement_rule.hpp"

namespace warp::physics {

std::optional<entanglement_rule::form> entanglement_rule::parse_form(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(' ') - first + 1);
  const auto star = text.find('*');
  if (star == std::string_view::npos || text.find('*', star + 1) != std::string_view::npos)
    return std::nullopt;
  return form{std::string{text.substr(0, star)}, std::string{text.substr(star + 1)}};
}

std::optional<entanglement_rule> entanglement_rule::parse(std::string_view text, double strength) {
  if (!(strength > 0 && strength <= 1)) return std::nullopt;
  const auto arrow = text.find("->");
  if (arrow == std::string_view::npos) return std::nullopt;
  entanglement_rule rule;
  rule.strength_ = strength;
  const auto key = parse_form(text.substr(0, arrow));
  if (!key) return std::nullopt;
  rule.key_ = *key;
  for (auto rest = text.substr(arrow + 2);;) {
    const auto comma = rest.find(',');
    const auto one = parse_form(rest.substr(0, comma));
    if (!one) return std::nullopt;
    rule.partners_.push_back(*one);
    if (comma == std::string_view::npos) return rule;
    rest = rest.substr(comma + 1);
  }
}

std::optional<std::string_view> entanglement_rule::captured(std::string_view key) const noexcept {
  const auto fixed = key_.before.size() + key_.after.size();
  if (key.size() <= fixed || !key.starts_with(key_.before) || !key.ends_with(key_.after))
    return std::nullopt;
  return key.substr(key_.before.size(), key.size() - fixed);
}

std::vector<std::string> entanglement_rule::partners_of(std::string_view key) const {
  std::vector<std::string> out;
  if (const auto part = captured(key))
    for (const auto& f : partners_) out.push_back(f.before + std::string{*part} + f.after);
  return out;
}

} // namespace warp::physics
