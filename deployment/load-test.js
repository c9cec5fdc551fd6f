// Counts for load-test.yml what artillery has no counter of its own for.
'use strict';

module.exports = { countLiveUser };

/** One more user who is about to open a socket. */
function countLiveUser(context, events, done) {
  events.emit('counter', 'live.users', 1);
  return done();
}
