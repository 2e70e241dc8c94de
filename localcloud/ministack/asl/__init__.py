"""The Amazon States Language: how executions of state machines run, in place of MiniStack's own interpreter.

installation  puts what is here in the place of MiniStack's functions
lifecycle     executions from their start to their end
redrives      which executions may be redriven, and where they go on
queries       what is told of executions
histories     events, and which one each follows
requests      what requests name by ARNs
machines      operations on state machines, versions, aliases and activities
engine        what each type of state does
branches      branches of Parallel states and iterations of Map states
tasks         attempts of Task states
integrations  functions and events as tasks, and errors of services
callbacks     tasks that a token or an activity's worker ends
maps          items of Map states
runs          what runs together, and is stopped together
choices       rules of Choice states
waits         how long Wait states wait
retries       which retrier or catcher takes an error
payloads      InputPath, Parameters, ResultSelector, ResultPath, OutputPath, Assign
intrinsics    intrinsic functions
json_paths    JSONPath
limits        the length of a history, and the size of data
errors        errors of states
"""
