git init -q && dvc init -q
echo "scale: 2" > params.yaml
dvc stage add -q -n prepare -p scale -o data.txt 'seq $(grep -o [0-9] params.yaml) > data.txt'
dvc stage add -q -n train -d data.txt -o model.txt 'wc -l < data.txt > model.txt'
run() { dvc repro 2>/dev/null | grep -E "Running stage|didn't change"; }
echo "first time:"; run
echo "again:"; run
sed -i 's/2/5/' params.yaml
echo "after a change:"; run
