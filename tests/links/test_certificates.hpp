#pragma once

#include "cluster/links/tls_files.hpp"
#include "tests/support/temp_folder.hpp"

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

namespace warp::testing {

/// Authorities and certificates of nodes, made by the openssl tool in a folder of their own.
class test_certificates {
public:
  /// A certificate that `authority` has signed, for this DNS name.
  cluster::links::tls_files make(const std::string& node, const std::string& authority,
                                 const std::string& name = "warpengine-node") {
    const auto ca = folder_ / authority, own = folder_ / node;
    if (!std::ifstream{ca + ".crt"})
      run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" +
          authority + " -keyout " + ca + ".key -out " + ca + ".crt");
    run("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + node + " -keyout " +
        own + ".key -out " + own + ".csr");
    std::ofstream{own + ".ext"} << "subjectAltName=DNS:" << name << "\n";
    run("x509 -req -in " + own + ".csr -CA " + ca + ".crt -CAkey " + ca +
        ".key -CAcreateserial -days 2 -extfile " + own + ".ext -out " + own + ".crt");
    return {own + ".crt", own + ".key", ca + ".crt", "warpengine-node"};
  }

private:
  static void run(const std::string& command) {
    if (std::system(("openssl " + command + " >/dev/null 2>&1").c_str()) != 0)
      throw std::runtime_error("failed: openssl " + command);
  }
  temp_folder folder_;
};

} // namespace warp::testing
