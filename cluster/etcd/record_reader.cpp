#include "cluster/etcd/record_reader.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <set>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;

constexpr std::size_t value_bytes_max = 1u << 20;
constexpr int depth_max = 8;

op_status wrong_value(std::string_view key, std::string_view what) {
  return {op_code::corruption,
          fmt::format("etcd's key {}: {}: it is written by warp alone; put back what was there, or "
                      "correct it",
                      key, what)};
}

/// What stands there, short.
std::string shown(const json& value) {
  auto text = value.dump(-1, ' ', true);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  return text;
}

} // namespace

op_status wrong_field(std::string_view key, std::string_view field, std::string_view what) {
  return wrong_value(key, fmt::format("the field \"{}\" {}", field, what));
}

op_result<json> parse_record(std::string_view key, std::string_view value, std::uint64_t version) {
  if (value.size() > value_bytes_max)
    return wrong_value(
        key, fmt::format("it has {} bytes, {} are possible", value.size(), value_bytes_max));
  if (value.find('\0') != std::string_view::npos)
    return wrong_value(key, "there is a zero byte in it"); // where the parser takes the text to end
  std::vector<std::set<std::string>> names;
  std::string twice;
  bool too_deep = false;
  const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > depth_max) too_deep = true;
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& name = parsed.get_ref<const std::string&>();
      if (!names.back().insert(name).second) twice = name;
    }
    return !too_deep;
  };
  json parsed;
  try {
    parsed = json::parse(value, watch);
  } catch (const json::exception& e) {
    return wrong_value(key, fmt::format("it is no JSON: {}", e.what()));
  }
  if (too_deep) return wrong_value(key, "it is nested too deeply");
  if (!parsed.is_object()) return wrong_value(key, "it is no JSON object");
  if (!twice.empty()) return wrong_field(key, json(twice).dump(-1, ' ', true), "is there twice");
  const auto at = parsed.find("version");
  if (at == parsed.end()) return wrong_field(key, "version", "is missing");
  if (!at->is_number_unsigned() || at->get<std::uint64_t>() == 0)
    return wrong_field(key, "version",
                       fmt::format("is {}, not a whole number from 1 on", shown(*at)));
  if (at->get<std::uint64_t>() != version)
    return op_status{op_code::not_supported,
                     fmt::format("etcd's key {} is of version {}, this program knows version {}: "
                                 "use the version of warp that has written it, or a newer one",
                                 key, at->get<std::uint64_t>(), version)};
  return parsed;
}

record_reader::record_reader(std::string_view key, const json& object, op_status& status,
                             std::string path)
    : key_(key), object_(object), status_(status), path_(std::move(path)) {}

void record_reader::refuse(std::string_view name, std::string_view what) {
  if (status_.ok()) status_ = wrong_field(key_, path_of(name), what);
}

const json* record_reader::take(const char* name, bool required) {
  asked_.emplace_back(name);
  if (!object_.is_object()) return nullptr; // refused where it was taken
  const auto at = object_.find(name);
  if (at != object_.end()) return &*at;
  if (required) refuse(name, "is missing");
  return nullptr;
}

bool record_reader::has(const char* name) const {
  return object_.is_object() && object_.contains(name);
}

std::uint64_t record_reader::number(const char* name, std::uint64_t min, std::uint64_t max) {
  const auto* at = take(name, true);
  if (at == nullptr) return min;
  if (at->is_number_unsigned()) {
    const auto value = at->get<std::uint64_t>();
    if (value >= min && value <= max) return value;
  }
  refuse(name, fmt::format("is {}, not a whole number from {} to {}", shown(*at), min, max));
  return min;
}

std::uint64_t record_reader::number_or(const char* name, std::uint64_t otherwise, std::uint64_t min,
                                       std::uint64_t max) {
  if (has(name)) return number(name, min, max);
  asked_.emplace_back(name);
  return otherwise;
}

std::uint64_t record_reader::id(const char* name) {
  const auto* at = take(name, true);
  if (at == nullptr) return 0;
  if (at->is_string()) {
    const auto& text = at->get_ref<const std::string&>();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size() && text.front() != '0')
      return value;
  }
  refuse(name, fmt::format("is {}, not a 64-bit number above 0 as text", shown(*at)));
  return 0;
}

std::string record_reader::text(const char* name, std::size_t size_max) {
  const auto* at = take(name, true);
  if (at == nullptr) return {};
  if (!at->is_string()) {
    refuse(name, fmt::format("is {}, not a text", shown(*at)));
    return {};
  }
  const auto& value = at->get_ref<const std::string&>();
  if (value.size() > size_max) {
    refuse(name, fmt::format("has {} bytes, {} are possible", value.size(), size_max));
    return {};
  }
  return value;
}

const json& record_reader::object(const char* name) {
  static const json nothing = json::object();
  const auto* at = take(name, true);
  if (at == nullptr) return nothing;
  if (at->is_object()) return *at;
  refuse(name, fmt::format("is {}, not an object", shown(*at)));
  return nothing;
}

const json& record_reader::array(const char* name, std::size_t count_max) {
  static const json nothing = json::array();
  const auto* at = take(name, true);
  if (at == nullptr) return nothing;
  if (!at->is_array()) {
    refuse(name, fmt::format("is {}, not an array", shown(*at)));
    return nothing;
  }
  if (at->size() <= count_max) return *at;
  refuse(name, fmt::format("has {} elements, {} are possible", at->size(), count_max));
  return nothing;
}

void record_reader::finish() {
  if (!status_.ok() || !object_.is_object()) return;
  for (const auto& [name, value] : object_.items())
    if (std::ranges::find(asked_, name) == asked_.end()) {
      const auto quoted = shown(json(name));
      refuse(quoted.substr(1, quoted.size() - 2), "is not known");
      return;
    }
}

} // namespace warp::cluster::etcd
