def test(ion_trajectory):
    from aiida import orm
    from aiida_ionconduct.calculations.functions.analysis import analyse_trajectories
    for T in (1200,1600):
        for n in (60,200,400):
            for k in (2,4):
                r=analyse_trajectories(orm.Dict({'charges':{'Li':1,'P':5,'O':-2},'mobile':'Li'}),**{f's{i}':ion_trajectory(T,i,n) for i in range(k)})
                a=r.base.attributes.all
                print(T,n,k,a['sigma_full_S_per_cm'],a['sigma_tracer_S_per_cm'],a['beta'],a['beta_stderr'],a['warnings'])
