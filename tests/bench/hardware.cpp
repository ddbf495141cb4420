#include "tests/bench/hardware.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <thread>

namespace warp::bench {

std::string hardware_line() {
  std::string model = "unknown processor";
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0 && line.find(": ") != line.npos) {
      model = line.substr(line.find(": ") + 2);
      break;
    }
  struct sysinfo memory {};
  ::sysinfo(&memory);
  utsname kernel{};
  ::uname(&kernel);
  std::string_view release = kernel.release;
  if (const auto minor = release.find('.'); minor != release.npos)
    release = release.substr(0, std::min(release.find_first_of(".-", minor + 1), release.size()));
  const double gib = static_cast<double>(memory.totalram) * memory.mem_unit / (1ull << 30);
  return fmt::format("{} x {}, {:.0f} GiB, {} {}, "
#if defined(__clang__)
                     "clang {}",
                     std::thread::hardware_concurrency(), model, gib, kernel.sysname, release,
                     __clang_version__);
#else
                     "g++ {}.{}.{}",
                     std::thread::hardware_concurrency(), model, gib, kernel.sysname, release,
                     __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string file_system_name(const std::string& folder) {
  struct statfs found {};
  if (::statfs(folder.c_str(), &found) != 0) return "unknown file system";
  switch (static_cast<unsigned long>(found.f_type)) {
  case 0xef53:
    return "ext4";
  case 0x01021994:
    return "tmpfs";
  case 0x58465342:
    return "xfs";
  case 0x9123683e:
    return "btrfs";
  case 0x794c7630:
    return "overlayfs";
  case 0x6969:
    return "nfs";
  case 0x2fc12fc1:
    return "zfs";
  default:
    return fmt::format("file system {:#x}", static_cast<unsigned long>(found.f_type));
  }
}

} // namespace warp::bench
