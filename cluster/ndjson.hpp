#pragma once

#include "messages/operations.hpp"
#include "messages/packed_fields.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace warp::cluster {

/// A record as a line of NDJSON says it. The views point into the line or into the parser's
/// buffers: valid until the next parse.
struct ndjson_record {
  std::string_view key;
  std::string_view value; ///< of a hash packed pairs: see messages/packed_fields.hpp
  value_type type = value_type::bytes;
  std::uint64_t ttl_ms = 0;        ///< from now on; 0: not given
  std::uint64_t expires_at_ms = 0; ///< absolute, ms since 1970; 0: not given
};

/// Reads lines of the form
///
///   {"key": "city:AD:1", "value": {"name": "Vila", "lat": 42.5}, "ttl_ms": 60000}
///
/// - "key": a string, 1 B to 64 KiB as UTF-8; or "key_base64" for a key that is no UTF-8.
/// - "value": a string stands for its own bytes (quotes and escapes gone). Any other JSON is stored
///   as it stands in the line, byte for byte, without the white space around it. Or "value_base64"
///   for bytes that are no UTF-8.
/// - in place of a value, for a hash, "fields": an object with a string for each field; or
///   "fields_base64": packed pairs.
/// - "ttl_ms" or "expires_at_ms": a whole number, optional, one of them.
///
/// Field order is free; a field that comes twice or that is not known is an error, as nothing
/// should be dropped silently. One thread at a time; keeps its buffers, so that a warmed-up parser
/// allocates nothing for plain lines.
class ndjson_parser {
public:
  /// `line` without its line feed; a carriage return at its end and white space around it are
  /// ignored. invalid_argument with the column (counted in bytes from 1) where it can be named.
  op_status parse(std::string_view line, ndjson_record& out);

private:
  struct scanner;
  op_status parse_fields(std::string_view object);

  std::string key_, value_, name_, field_name_, field_value_;
  field_packer fields_;
};

/// Appends the line, without a line feed, that parse() reads back to exactly these bytes: a value
/// that is JSON other than a string, on one line and without white space around it, stands as it
/// is; other UTF-8 as a string; the rest in base64.
void append_ndjson(std::string& out, std::string_view key, std::string_view value,
                   std::uint64_t expires_at_ms = 0);
/// The same of a hash: `pairs` are its fields, packed.
void append_hash_ndjson(std::string& out, std::string_view key, std::string_view pairs,
                        std::uint64_t expires_at_ms = 0);

/// The fields' part of it: "fields": {...}, or "fields_base64".
void append_json_fields(std::string& out, std::string_view pairs);

/// Appends `text` as a JSON string with its quotes; the bytes must be UTF-8.
void append_json_string(std::string& out, std::string_view text);
bool is_utf8(std::string_view bytes);

} // namespace warp::cluster
