#include "cluster/programs/config_flags.hpp"

#include "cluster/config_knobs.hpp"

#include <fmt/format.h>

namespace warp::programs {

void config_flags::add_to(CLI::App& app) {
  app.add_option("-c,--config", file_, "Configuration file")
      ->envname("WARP_CONFIG")
      ->type_name("FILE");
  app.add_flag("--insecure", insecure_,
               "The same as --security.insecure true: permit ports that other machines can reach");
  const cluster::server_config defaults;
  const auto all = cluster::knobs();
  values_.reserve(all.size()); // the options keep pointers to the values
  for (const auto& k : all) {
    values_.emplace_back(k.name(), "");
    options_.push_back(
        app.add_option("--" + k.name(), values_.back().second,
                       fmt::format("{}. {}. Default {}", k.explanation, k.range(),
                                   k.show(k.read(defaults))))
            ->type_name("VALUE")
            ->group("Settings (they override the file and WARP_SECTION_KEY in the environment)"));
  }
}

op_result<cluster::loaded_config> config_flags::load() const {
  auto inputs = cluster::read_config_file(file_);
  if (!inputs) return inputs.status();
  inputs->environment = cluster::process_environment();
  for (std::size_t i = 0; i < options_.size(); ++i)
    if (options_[i]->count() > 0) inputs->flags.push_back(values_[i]);
  if (insecure_) inputs->flags.emplace_back("security.insecure", "true");
  return cluster::load_config(*inputs);
}

} // namespace warp::programs
