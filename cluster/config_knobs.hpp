#pragma once

#include "cluster/config.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace warp::cluster {

enum class knob_kind : std::uint8_t {
  text,     ///< a string
  address,  ///< "host:port"
  yes_no,   ///< true or false
  count,    ///< a whole number
  size,     ///< bytes; "64MiB" or a whole number
  duration, ///< milliseconds; "50ms"
  choice,   ///< one of `choices`
};

/// A value in the knob's base unit: text and choices as text, counts, sizes (bytes) and durations
/// (ms) as a number.
using knob_value = std::variant<std::string, bool, std::uint64_t>;

/// One setting: the single place from which parsing, checks, command line flags, `warp
/// check-config` and the reference come.
struct knob {
  std::string_view section, key;
  knob_kind kind = knob_kind::text;
  std::string_view explanation;   ///< one line for people, ends without a full stop
  std::uint64_t min = 0, max = 0; ///< counts, sizes and durations: the range, both ends included
  std::uint64_t step = 1;         ///< and a multiple of this
  std::string_view unit;          ///< counts: what is counted
  std::string_view
      zero_means; ///< what 0 (or "") stands for; empty: nothing special, and 0 must be in the range
  std::span<const std::string_view> choices;
  knob_value (*read)(const server_config&) = nullptr;
  void (*write)(server_config&, const knob_value&) = nullptr;

  [[nodiscard]] std::string name() const;     ///< "section.key"
  [[nodiscard]] std::string variable() const; ///< "WARP_SECTION_KEY"
  [[nodiscard]] std::string range() const;    ///< "1 to 64, a power of two": for people
  [[nodiscard]] std::string show(const knob_value& value) const; ///< as TOML
};

/// All knobs, by section, in the order of the reference.
std::span<const knob> knobs();
/// What a section is about, in one line.
std::string_view section_explanation(std::string_view section);

/// Takes the value from text, as an environment variable or a flag gives it, and checks kind and
/// range. The message says what is wrong and what would be right; it does not name the place.
op_result<knob_value> parse_knob(const knob& k, std::string_view text);
/// The same for a value that has its type already; used for TOML.
op_status check_knob(const knob& k, const knob_value& value);

} // namespace warp::cluster
