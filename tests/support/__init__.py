"""What tests share: polling, real servers, host processes, and rules on missing programs."""
