#pragma once

#include "cluster/config.hpp"
#include "messages/status.hpp"

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

namespace warp::programs {

/// The flags that say where a server's configuration comes from: --config FILE, --insecure, and
/// --SECTION.KEY VALUE for every setting. Shared by warpd and warp check-config. Stays where it is
/// once added.
class config_flags {
public:
  void add_to(CLI::App& app);
  /// After the command line was read: puts file, environment and flags together. Messages as
  /// load_config()'s.
  [[nodiscard]] op_result<cluster::loaded_config> load() const;

private:
  std::string file_;
  bool insecure_ = false;
  std::vector<std::pair<std::string, std::string>> values_; ///< one for each setting
  std::vector<CLI::Option*> options_;
};

} // namespace warp::programs
