#pragma once

#include <cstdint>

namespace elastikv::emulated {

/// What a run asked of the device.
struct Counters {
  int64_t launches = 0;  ///< kernels, and copies and fills on the device, graphs; views are none
  int64_t graphs = 0;    ///< of these, graphs of many others
  int64_t to_device_copies = 0;
  int64_t to_device_bytes = 0;
  int64_t to_host_copies = 0;
  int64_t to_host_bytes = 0;
  int64_t synchronisations = 0;  ///< times that the host waited

  Counters operator-(const Counters& other) const {
    return {launches - other.launches,
            graphs - other.graphs,
            to_device_copies - other.to_device_copies,
            to_device_bytes - other.to_device_bytes,
            to_host_copies - other.to_host_copies,
            to_host_bytes - other.to_host_bytes,
            synchronisations - other.synchronisations};
  }
};

}  // namespace elastikv::emulated
