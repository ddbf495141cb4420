#include "cluster/ndjson.hpp"

#include "messages/base64.hpp"
#include "messages/limits.hpp"

#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

namespace warp::cluster {

namespace {

/// Takes every event of nlohmann's parser and builds nothing: what is left is the check, with the
/// place of the first mistake.
struct checker {
  using json = nlohmann::json;
  std::size_t position = 0;
  std::string message;

  bool null() { return true; }
  bool boolean(bool) { return true; }
  bool number_integer(json::number_integer_t) { return true; }
  bool number_unsigned(json::number_unsigned_t) { return true; }
  bool number_float(json::number_float_t, const std::string&) { return true; }
  bool string(std::string&) { return true; }
  bool binary(json::binary_t&) { return true; }
  bool start_object(std::size_t) { return true; }
  bool key(std::string&) { return true; }
  bool end_object() { return true; }
  bool start_array(std::size_t) { return true; }
  bool end_array() { return true; }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception& e) {
    position = at;
    message = e.what();
    return false;
  }
};

constexpr bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

unsigned hex4(const char* p) {
  unsigned value = 0;
  std::from_chars(p, p + 4, value, 16);
  return value;
}

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

/// The bytes that a string stands for. `raw`: between the quotes, already checked, so that every
/// escape is whole. Points into `raw` where nothing is escaped.
std::string_view decode(std::string_view raw, std::string& buffer) {
  auto slash = raw.find('\\');
  if (slash == std::string_view::npos) return raw;
  buffer.clear();
  while (slash != std::string_view::npos) {
    buffer.append(raw, 0, slash);
    const char escaped = raw[slash + 1];
    std::size_t used = 2;
    switch (escaped) {
    case 'b':
      buffer += '\b';
      break;
    case 'f':
      buffer += '\f';
      break;
    case 'n':
      buffer += '\n';
      break;
    case 'r':
      buffer += '\r';
      break;
    case 't':
      buffer += '\t';
      break;
    case 'u': {
      unsigned code = hex4(raw.data() + slash + 2);
      used = 6;
      if (code >= 0xD800 && code < 0xDC00) {
        code = 0x10000 + ((code - 0xD800) << 10) + (hex4(raw.data() + slash + 8) - 0xDC00);
        used = 12;
      }
      append_utf8(buffer, code);
      break;
    }
    default:
      buffer += escaped; // " \ /
    }
    raw.remove_prefix(slash + used);
    slash = raw.find('\\');
  }
  buffer.append(raw);
  return buffer;
}

void append_bytes(std::string& out, std::string_view name, std::string_view bytes) {
  if (is_utf8(bytes)) {
    fmt::format_to(std::back_inserter(out), "\"{}\": ", name);
    append_json_string(out, bytes);
  } else {
    fmt::format_to(std::back_inserter(out), "\"{}_base64\": \"{}\"", name, to_base64(bytes));
  }
}

void append_end(std::string& out, std::uint64_t expires_at_ms) {
  if (expires_at_ms != 0)
    fmt::format_to(std::back_inserter(out), ", \"expires_at_ms\": {}", expires_at_ms);
  out += '}';
}

/// Can the value stand in a line as it is, and come back the same?
bool stands_as_json(std::string_view value) {
  if (value.empty() || value.front() == '"' || is_space(value.front()) || is_space(value.back()))
    return false;
  // A quick look before the whole is parsed: most texts end here.
  if (std::string_view("{[-0123456789tfn").find(value.front()) == std::string_view::npos)
    return false;
  // A zero byte is where the parser takes the text to end.
  if (value.find_first_of(std::string_view{"\n\r\0", 3}) != std::string_view::npos) return false;
  return nlohmann::json::accept(value);
}

} // namespace

/// Walks over a line that is known to be JSON; so it only has to find where things begin and end.
struct ndjson_parser::scanner {
  std::string_view text;
  std::size_t at = 0;

  char peek() const { return text[at]; }
  void skip_space() {
    while (at < text.size() && is_space(text[at])) ++at;
  }

  /// At a quote: between the quotes.
  std::string_view take_string() {
    const auto begin = ++at;
    while (text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    return text.substr(begin, at++ - begin);
  }

  /// Any value, as it stands.
  std::string_view take_value() {
    const auto begin = at;
    std::size_t depth = 0;
    do {
      switch (peek()) {
      case '"':
        take_string();
        continue;
      case '{':
      case '[':
        ++depth;
        break;
      case '}':
      case ']':
        --depth;
        break;
      default:
        if (depth == 0) { // number, true, false, null
          while (at < text.size() && !is_space(peek()) && peek() != ',' && peek() != '}') ++at;
          return text.substr(begin, at - begin);
        }
      }
      ++at;
    } while (depth > 0);
    return text.substr(begin, at - begin);
  }
};

op_status ndjson_parser::parse(std::string_view line, ndjson_record& out) {
  const auto leading =
      static_cast<std::size_t>(std::find_if_not(line.begin(), line.end(), is_space) - line.begin());
  const auto refuse = [&](std::size_t at, std::string_view what) {
    return op_status(op_code::invalid_argument,
                     fmt::format("column {}: {}", leading + at + 1, what));
  };
  const auto text = trim(line);
  if (const auto zero = text.find('\0'); zero != std::string_view::npos) // the parser's end of text
    return refuse(zero, "this is no JSON: a zero byte");
  checker check;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &check)) {
    // nlohmann: "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error
    // while ..."
    const auto colon = check.message.find(": ");
    return refuse(check.position == 0 ? 0 : check.position - 1,
                  fmt::format("this is no JSON: {}", colon == std::string::npos
                                                         ? check.message
                                                         : check.message.substr(colon + 2)));
  }
  if (text.front() != '{')
    return refuse(0,
                  R"(a line is an object with "key" and "value", as in {"key": "a", "value": 1})");

  out = {};
  enum field : unsigned { key = 1, value = 2, expiry = 4 };
  unsigned seen = 0;
  scanner s{text, 1};
  for (s.skip_space(); s.peek() != '}'; s.skip_space()) {
    if (s.peek() == ',') {
      ++s.at;
      s.skip_space();
    }
    const auto name_at = s.at;
    const auto name = decode(s.take_string(), name_);
    s.skip_space();
    ++s.at; // the colon
    s.skip_space();
    const auto value_at = s.at;
    const auto raw = s.take_value();
    const bool is_string = raw.front() == '"';

    const auto which = name == "key" || name == "key_base64"         ? key
                       : name == "value" || name == "value_base64"   ? value
                       : name == "fields" || name == "fields_base64" ? value
                       : name == "ttl_ms" || name == "expires_at_ms" ? expiry
                                                                     : field{};
    if (which == 0)
      return refuse(name_at, fmt::format("the field \"{}\" is not known: a line has key, value and "
                                         "maybe ttl_ms or expires_at_ms",
                                         name));
    if (seen & which) {
      constexpr std::string_view twice[] = {"key", "value", "", "time to live"};
      return refuse(name_at, fmt::format("the {} is given twice", twice[which - 1]));
    }
    seen |= which;

    if (which == expiry) {
      std::uint64_t number = 0;
      const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), number);
      if (error != std::errc{} || end != raw.data() + raw.size() || number == 0)
        return refuse(value_at, fmt::format("{} = {} is not a whole number of milliseconds above 0",
                                            name, raw.substr(0, 40)));
      (name == "ttl_ms" ? out.ttl_ms : out.expires_at_ms) = number;
      continue;
    }
    if (name.starts_with("fields")) out.type = value_type::hash;
    if (name == "fields") {
      if (auto status = parse_fields(raw); !status.ok()) return refuse(value_at, status.message());
      out.value = fields_.packed();
      continue;
    }
    auto& buffer = which == key ? key_ : value_;
    auto& target = which == key ? out.key : out.value;
    if (!is_string) {
      if (which == key || name.ends_with("_base64"))
        return refuse(value_at, fmt::format("\"{}\" must be a string", name));
      target = raw;
      continue;
    }
    const bool base64 = name.ends_with("_base64");
    target = decode(raw.substr(1, raw.size() - 2), buffer);
    if (base64) {
      std::string bytes;
      if (!from_base64(target, bytes))
        return refuse(value_at, fmt::format("\"{}\" is no base64", name));
      buffer = std::move(bytes);
      target = buffer;
    }
    if (name == "fields_base64" && !are_packed_pairs(target))
      return refuse(value_at, "\"fields_base64\" is no packed fields");
  }
  if (!(seen & key)) return refuse(0, "the field \"key\" is missing");
  if (!(seen & value)) return refuse(0, "the field \"value\" is missing");
  if (out.key.size() < key_size_min) return refuse(0, "the key is empty");
  if (out.key.size() > key_size_max)
    return refuse(
        0, fmt::format("the key is {} bytes long, {} are possible", out.key.size(), key_size_max));
  return {};
}

/// An object of strings, as it stands in the line, to fields_.
op_status ndjson_parser::parse_fields(std::string_view object) {
  const auto refuse = [](std::string_view what) {
    return op_status(op_code::invalid_argument, std::string(what));
  };
  if (object.front() != '{')
    return refuse(R"("fields" must be an object, as in {"name": "value"})");
  fields_.clear();
  scanner s{object, 1};
  for (s.skip_space(); s.peek() != '}'; s.skip_space()) {
    if (s.peek() == ',') {
      ++s.at;
      s.skip_space();
    }
    const auto name = decode(s.take_string(), field_name_);
    s.skip_space();
    ++s.at; // the colon
    s.skip_space();
    const auto raw = s.take_value();
    if (raw.front() != '"') return refuse("the value of each field must be a string");
    fields_.add_pair(name, decode(raw.substr(1, raw.size() - 2), field_value_));
  }
  if (fields_.count() == 0) return refuse("a hash has at least one field");
  if (!are_packed_pairs(fields_.packed()))
    return refuse(fmt::format("the name of a field has more than {} bytes", field_name_size_max));
  return {};
}

bool is_utf8(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || i + length > bytes.size()) return false;
    unsigned code = lead & (0x7Fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(bytes[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    // Overlong forms, surrogates and what lies beyond Unicode are not UTF-8.
    if ((length == 3 && code < 0x800) || (length == 4 && code < 0x10000) || code > 0x10FFFF ||
        (code >= 0xD800 && code < 0xE000))
      return false;
    i += length;
  }
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (static_cast<unsigned char>(c) < 0x20)
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
      else
        out += c;
    }
  }
  out += '"';
}

void append_ndjson(std::string& out, std::string_view key, std::string_view value,
                   std::uint64_t expires_at_ms) {
  out += '{';
  append_bytes(out, "key", key);
  out += ", ";
  if (stands_as_json(value))
    out.append("\"value\": ").append(value);
  else
    append_bytes(out, "value", value);
  append_end(out, expires_at_ms);
}

void append_json_fields(std::string& out, std::string_view pairs) {
  bool as_text = true;
  for_each_pair(pairs, [&](std::string_view name, std::string_view value) {
    as_text = as_text && is_utf8(name) && is_utf8(value);
  });
  if (!as_text) {
    fmt::format_to(std::back_inserter(out), "\"fields_base64\": \"{}\"", to_base64(pairs));
    return;
  }
  std::string_view before = "\"fields\": {";
  for_each_pair(pairs, [&](std::string_view name, std::string_view value) {
    out += std::exchange(before, ", ");
    append_json_string(out, name);
    out += ": ";
    append_json_string(out, value);
  });
  out += '}';
}

void append_hash_ndjson(std::string& out, std::string_view key, std::string_view pairs,
                        std::uint64_t expires_at_ms) {
  out += '{';
  append_bytes(out, "key", key);
  out += ", ";
  append_json_fields(out, pairs);
  append_end(out, expires_at_ms);
}

} // namespace warp::cluster
