#include "tests/support/history_file.hpp"

#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace warp::testing {

namespace {

template <class T>
using names = std::pair<T, std::string_view>;

constexpr std::array<names<register_call>, 5> calls{{{register_call::get, "get"},
                                                     {register_call::put, "put"},
                                                     {register_call::erase, "erase"},
                                                     {register_call::replace, "replace"},
                                                     {register_call::increment, "increment"}}};
constexpr std::array<names<register_outcome>, 6> outcomes{{{register_outcome::ok, "ok"},
                                                           {register_outcome::not_found, "absent"},
                                                           {register_outcome::not_equal, "differs"},
                                                           {register_outcome::wrong_type, "type"},
                                                           {register_outcome::refused, "refused"},
                                                           {register_outcome::unknown, "unknown"}}};

template <class List, class T>
std::string_view name_of(const List& list, T value) {
  for (const auto& [known, name] : list)
    if (known == value) return name;
  return {};
}
template <class T, std::size_t N>
std::optional<T> named(const std::array<names<T>, N>& list, std::string_view name) {
  for (const auto& [value, known] : list)
    if (known == name) return value;
  return {};
}

} // namespace

std::string history_line(std::string_view key, const register_event& e) {
  nlohmann::ordered_json line{{"client", e.client},
                              {"key", key},
                              {"call", name_of(calls, e.call)},
                              {"began", e.began},
                              {"outcome", name_of(outcomes, e.outcome)}};
  if (e.outcome != register_outcome::unknown) line["ended"] = e.ended;
  if (!e.value.empty()) line["value"] = e.value;
  if (e.call == register_call::replace) line["old"] = e.old;
  if (e.call == register_call::increment) {
    line["delta"] = e.delta;
    if (e.outcome == register_outcome::ok) line["number"] = e.number;
  }
  return line.dump();
}

op_status read_history(std::istream& from, std::string_view name, key_histories& into) {
  std::string text;
  for (std::size_t number = 1; std::getline(from, text); ++number) {
    try {
      const auto line = nlohmann::json::parse(text);
      const auto call = named(calls, line.at("call").get<std::string>());
      const auto outcome = named(outcomes, line.at("outcome").get<std::string>());
      if (!call || !outcome)
        return {op_code::invalid_argument,
                fmt::format("{}: line {}: no such call or outcome", name, number)};
      register_event e;
      e.client = line.at("client");
      e.call = *call;
      e.outcome = *outcome;
      e.began = line.at("began");
      if (e.outcome != register_outcome::unknown) e.ended = line.at("ended");
      e.value = line.value("value", std::string{});
      if (e.call == register_call::replace) e.old = line.at("old").get<std::string>();
      e.delta = line.value("delta", std::int64_t{1});
      if (e.call == register_call::increment && e.outcome == register_outcome::ok)
        e.number = line.at("number");
      if (e.outcome != register_outcome::unknown && e.ended < e.began)
        return {op_code::invalid_argument,
                fmt::format("{}: line {}: the call ended before it began", name, number)};
      into[line.at("key").get<std::string>()].push_back(std::move(e));
    } catch (const nlohmann::json::exception& problem) {
      return {op_code::invalid_argument, fmt::format("{}: line {}: not a call of a history: {}",
                                                     name, number, problem.what())};
    }
  }
  return {};
}

std::string complaint_about(const key_histories& histories, std::uint64_t steps_max) {
  for (const auto& [key, list] : histories) {
    const auto verdict = check_linearizable(list, steps_max);
    if (verdict.is == linearizability::no)
      return fmt::format("no order explains what was answered about '{}':\n{}", key,
                         verdict.window);
    if (verdict.is == linearizability::undecided)
      return fmt::format("not decided for '{}' after {} steps", key, verdict.steps);
  }
  return {};
}

} // namespace warp::testing
