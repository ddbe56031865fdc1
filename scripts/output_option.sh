# Sourced by scripts that go on with the folder a sweep writes to.

# Takes --output out of a sweep's arguments, however it is spelled, so that the script can pass it once and knows it.
# Sets `output` to the folder (the first argument without one) and `arguments` to all others.
take_output() {
  output=$1
  shift
  arguments=()
  while [ $# -gt 0 ]; do
    case $1 in
      --output | --set)
        if [ $# -lt 2 ]; then
          arguments+=("$1") # the program says what is missing
        elif [ "$1" = --output ]; then
          output=$2
          shift
        elif [[ $2 = output=* ]]; then
          output=${2#output=}
          shift
        else
          arguments+=("$1" "$2")
          shift
        fi
        ;;
      --output=*) output=${1#--output=} ;;
      --set=output=*) output=${1#--set=output=} ;;
      *) arguments+=("$1") ;;
    esac
    shift
  done
}
