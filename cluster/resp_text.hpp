#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace warp::cluster {

// Numbers and patterns as Redis reads and writes them.

/// A floating point number: all of the text, without spaces around it. Nothing for what is none,
/// and for what has no value ("nan", or beyond the range).
std::optional<long double> parse_real(std::string_view text);
/// Without an exponent, with up to 17 digits behind the point and no zeros at the end: "3.1",
/// "5", "-0.00000001".
std::string format_real(long double number);

/// Does `text` match the pattern with * ? [a-z] [^x] and \? Time is bounded by the product of the
/// two lengths: each * goes on where the last one found nothing.
bool matches_pattern(std::string_view pattern, std::string_view text) noexcept;
/// What every text that matches begins with; `whole` is set when the pattern is nothing but "*"
/// behind it.
std::string_view literal_prefix(std::string_view pattern, bool& whole) noexcept;

/// Are they the same but for upper and lower case?
bool same_word(std::string_view a, std::string_view b) noexcept;
std::string lower_case(std::string_view text);
/// As error messages show what a client sent: no control characters, at most `bytes_max`.
std::string shown(std::string_view bytes, std::size_t bytes_max = 128);

} // namespace warp::cluster
