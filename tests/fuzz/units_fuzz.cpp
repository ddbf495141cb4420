// Numbers with units, addresses and knobs as people type them: what is taken, shown and typed again
// is the same.
//
// Input: a byte that chooses a knob, then the text.

#include "cluster/config_knobs.hpp"
#include "cluster/config_units.hpp"
#include "storage/cpu_list.hpp"
#include "storage/number.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace warp;
using namespace warp::cluster;
using namespace warp::fuzzing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  input_reader in{bytes, size};
  const auto choice = in.byte();
  const auto text = in.rest();
  if (const auto value = parse_size(text)) {
    const auto shown = format_size(*value);
    require(parse_size(shown) == value, "a size does not come back: " + shown);
  }
  if (const auto value = parse_duration_ms(text)) {
    const auto shown = format_duration_ms(*value);
    require(parse_duration_ms(shown) == value, "a duration does not come back: " + shown);
  }
  if (const auto address = parse_address(text)) {
    const bool v6 = address->host.find(':') != std::string::npos;
    const auto shown =
        (v6 ? "[" + address->host + "]" : address->host) + ":" + std::to_string(address->port);
    const auto again = parse_address(shown);
    require(again && again->host == address->host && again->port == address->port,
            "an address does not come back: " + shown);
    static_cast<void>(is_loopback(*address));
  }
  if (const auto value = storage::parse_number(text))
    require(storage::number_text{*value}.view() == text, "a number does not come back");
  const auto& k = knobs()[choice % knobs().size()];
  if (const auto value = parse_knob(k, text)) {
    require(check_knob(k, *value).ok(), "a value that is taken is refused: " + k.name());
    server_config config;
    k.write(config, *value);
    require(k.read(config) == *value, "a knob does not keep its value: " + k.name());
  }
  if (text.size() < 200) static_cast<void>(closest_name(text, {"shards", "segment", "", "listen"}));
  static_cast<void>(storage::parse_cpu_list(std::string{text}));
  return 0;
}
