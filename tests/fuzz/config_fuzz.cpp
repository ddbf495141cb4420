// Configuration: a file that is taken, said anew by what is in force, is taken as the same.
//
// Input: a flag ("section.key=value", up to the first line feed), then the file.

#include "cluster/config.hpp"
#include "cluster/config_report.hpp"
#include "cluster/ndjson.hpp"
#include "tests/fuzz/fuzz_target.hpp"

#include <map>

using namespace warp;
using namespace warp::cluster;
using namespace warp::fuzzing;

namespace {

/// A file with all that is in force.
std::string file_of(const loaded_config& config) {
  std::map<std::string, std::string> sections;
  for (const auto& s : config.settings) {
    const auto dot = s.name.find('.');
    sections[s.name.substr(0, dot)] += s.name.substr(dot + 1) + " = " + s.value + "\n";
  }
  std::string text;
  for (const auto& [name, lines] : sections) text += "[" + name + "]\n" + lines;
  return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view input{reinterpret_cast<const char*>(bytes), size};
  const auto flag_end = std::min(input.find('\n'), input.size());
  const auto flag = input.substr(0, flag_end);
  config_inputs inputs;
  inputs.file_name = "warp.toml";
  inputs.file_text = std::string{input.substr(std::min(flag_end + 1, input.size()))};
  if (const auto equals = flag.find('='); equals != std::string_view::npos) {
    inputs.flags.emplace_back(flag.substr(0, equals), flag.substr(equals + 1));
    inputs.environment.emplace_back("WARP_" + std::string{flag.substr(0, equals)},
                                    flag.substr(equals + 1));
  }
  const auto taken = load_config(inputs);
  if (!taken) {
    require(taken.code() == op_code::invalid_argument, "an unexpected code");
    require(!taken.status().message().empty(), "refused without a reason");
    return 0;
  }
  static_cast<void>(show_config(*taken));
  static_cast<void>(show_config_json(*taken));
  if (!is_utf8(flag)) return 0; // a path from the command line may be what no file can say
  config_inputs again;
  again.file_name = "again.toml";
  again.file_text = file_of(*taken);
  const auto second = load_config(again);
  require(second.ok(), "what is in force is refused: " + second.status().to_string());
  for (std::size_t i = 0; i < taken->settings.size(); ++i)
    require(second->settings[i].value == taken->settings[i].value,
            taken->settings[i].name + " does not come back: " + taken->settings[i].value + ", " +
                second->settings[i].value);
  return 0;
}
