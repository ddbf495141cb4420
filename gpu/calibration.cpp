#include "gpu/calibration.hpp"

#include "gpu/batch_rules.hpp"

#include <charconv>
#include <cstdio>
#include <optional>

namespace warp::gpu {

namespace {

constexpr std::string_view title = "warp gpu calibration 1";

/// FNV-1a, 64 bits.
std::uint64_t check_of(std::string_view text) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

/// Takes the next line; nothing when there is no whole one.
std::optional<std::string_view> line_of(std::string_view& text) noexcept {
  const auto end = text.find('\n');
  if (end == text.npos) return std::nullopt;
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<std::string_view> value_of(std::string_view& text, std::string_view name) noexcept {
  const auto line = line_of(text);
  if (!line || !line->starts_with(name) || line->size() <= name.size() ||
      (*line)[name.size()] != ' ')
    return std::nullopt;
  return line->substr(name.size() + 1);
}

template <class T>
bool read(std::string_view digits, T& to, int base) noexcept {
  const auto* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, to, base);
  return error == std::errc{} && at == end;
}

/// A name is one line of the file.
std::string one_line(std::string text) {
  for (auto& c : text)
    if (c == '\n') c = ' ';
  return text;
}

} // namespace

std::string to_text(const calibration& c) {
  std::string text{title};
  text += "\ncpu " + one_line(c.cpu) + "\ndevice " + one_line(c.device) + "\n";
  for (std::size_t i = 0; i < operations; ++i)
    text += std::string{to_string(static_cast<operation>(i))} + " " +
            (c.crossover[i] == calibration::never ? "never" : std::to_string(c.crossover[i])) +
            "\n";
  char check[32];
  std::snprintf(check, sizeof check, "check %016llx\n",
                static_cast<unsigned long long>(check_of(text)));
  return text + check;
}

std::variant<calibration, std::string> calibration_from(std::string_view text) {
  using namespace std::string_literals;
  if (text.empty()) return "it is empty"s;
  const auto whole = text;
  if (const auto line = line_of(text); line != title)
    return "its first line is not '" + std::string{title} + "'";
  const auto cpu = value_of(text, "cpu"), device = value_of(text, "device");
  if (!cpu || !device) return "it does not name what was measured"s;
  calibration out{std::string{*cpu}, std::string{*device}, {}};
  for (std::size_t i = 0; i < operations; ++i) {
    const auto name = to_string(static_cast<operation>(i));
    const auto value = value_of(text, name);
    if (!value) return "it has no line for " + std::string{name};
    if (*value == "never")
      out.crossover[i] = calibration::never;
    else if (!read(*value, out.crossover[i], 10))
      return std::string{name} + " is '" + std::string{*value} + "', which is no number";
  }
  const auto checked = whole.substr(0, whole.size() - text.size());
  const auto check = value_of(text, "check");
  std::uint64_t sum = 0;
  if (!check || check->size() != 16 || !read(*check, sum, 16) || sum != check_of(checked) ||
      !text.empty())
    return "its check does not fit its content"s;
  return out;
}

} // namespace warp::gpu
