#include "tests/bench/arguments.hpp"

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace warp::bench {

namespace {

[[noreturn]] void refuse(std::string_view program, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n", std::string{program}.c_str(), why.c_str());
  std::exit(2);
}

template <class Number>
Number number(std::string_view program, std::string_view option, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > Number{}))
    refuse(program,
           std::string{option} + " needs a positive number, not '" + std::string{text} + "'");
  return value;
}

} // namespace

arguments arguments::parse(int argc, char** argv, std::string_view usage) {
  arguments out;
  std::string_view program = argc > 0 ? argv[0] : "benchmark";
  program.remove_prefix(program.rfind('/') + 1); // npos + 1 is 0
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto value = [&]() -> std::string_view {
      if (i + 1 >= argc) refuse(program, std::string{option} + " needs a value");
      return argv[++i];
    };
    if (option == "--quick") {
      out.quick = true;
    } else if (option == "--json") {
      out.json = value();
    } else if (option == "--keys") {
      out.keys = number<std::uint64_t>(program, option, value());
    } else if (option == "--value") {
      out.value_bytes = number<std::size_t>(program, option, value());
    } else if (option == "--only") {
      out.only = value();
    } else if (option == "--seconds") {
      out.seconds = number<double>(program, option, value());
    } else if (option == "--threads") {
      auto list = value();
      while (!list.empty()) {
        const auto comma = list.find(',');
        out.threads.push_back(number<unsigned>(program, option, list.substr(0, comma)));
        list = comma == list.npos ? std::string_view{} : list.substr(comma + 1);
      }
    } else if (!usage.empty()) {
      std::fputs(std::string{usage}.c_str(), option == "--help" ? stdout : stderr);
      if (option == "--help") std::exit(0);
      refuse(program, "unknown option " + std::string{option});
    }
  }
  return out;
}

} // namespace warp::bench
